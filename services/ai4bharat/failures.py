"""What goes wrong with an AI4Bharat server, as this server's own errors."""

from services.failures import Failures

FAILURES = Failures("ai4bharat", "AI4Bharat")
failure = FAILURES.failure
refused = FAILURES.refused
