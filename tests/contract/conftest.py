"""Importing Pipecat warns of what it deprecates itself; that is let pass."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.tts_service
    import pipecat.tests.utils  # noqa: F401
