"""Text on its way to the caller's ear, in the caller's language."""
