"""What goes wrong with Kenpath, as this server's own errors."""

from functools import partial

from services.failures import Failures

FAILURES = Failures("kenpath", "Kenpath")
failure = partial(FAILURES.failure, "llm")
refused = partial(FAILURES.refused, "llm")
