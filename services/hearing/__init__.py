"""What recognisers of several vendors share: whole utterances, and speech without words."""
