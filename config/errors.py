"""The one tree of errors that this server raises on purpose.

    VoiceServerError
    ├── ConfigError          an operator's file or setting cannot be used
    ├── ProviderError        a speech or language vendor failed (stage, retryable)
    ├── WireError            a peer sent something its protocol does not allow
    ├── AdmissionError       a call was refused: full, draining, unknown agent
    ├── CallControlError     dialling, transferring or hanging up failed
    ├── BackendError         VoiceERA's backend did not do what it was asked
    └── StorageError         a recording, transcript or record could not be kept

``code`` is a short snake_case word that serves as metric label, log key and
close reason at once; ``message`` is for a person and says what, where and how
to mend it. Neither may ever hold a secret or a whole telephone number.
"""

from typing import Literal

ProviderStage = Literal["stt", "llm", "tts"]


class VoiceServerError(Exception):
    """Base of every error this server raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConfigError(VoiceServerError):
    """An operator's file, setting or command line cannot be used."""

    def __init__(self, message: str, *, code: str = "config_invalid") -> None:
        super().__init__(code, message)


class ProviderError(VoiceServerError):
    """A vendor failed.

    Args:
        provider: Registered name, such as ``deepgram``.
        stage: Which part of the call it served.
        retryable: Whether trying the same vendor again may help.
        retry_after_seconds: How long it asked to be left alone; 0 where it did not.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        provider: str,
        stage: ProviderStage,
        retryable: bool,
        retry_after_seconds: float = 0.0,
    ) -> None:
        super().__init__(code, message)
        self.provider = provider
        self.stage = stage
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds


class WireError(VoiceServerError):
    """A peer sent something that its protocol does not allow."""


class AdmissionError(VoiceServerError):
    """A call was refused before it began."""


class CallControlError(VoiceServerError):
    """A telephony provider would not dial, transfer or hang up."""


class BackendError(VoiceServerError):
    """VoiceERA's backend did not do what it was asked.

    Args:
        status: The HTTP status it answered with; None where there was no answer.
        retryable: Whether asking again may help.
    """

    def __init__(
        self, code: str, message: str, *, status: int | None = None, retryable: bool = False
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.retryable = retryable


class StorageError(VoiceServerError):
    """A recording, transcript or record could not be stored or read."""
