"""What goes wrong with Bhashini, as this server's own errors."""

from services.failures import Failures

FAILURES = Failures("bhashini", "Bhashini")
failure = FAILURES.failure
refused = FAILURES.refused
