"""What the bot's tests share: importing Pipecat warns of what it deprecates itself."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.llm_service
    import pipecat.services.stt_service
    import pipecat.services.tts_service  # noqa: F401
