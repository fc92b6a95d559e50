"""Whisper speech-to-text in a call: each utterance is read in one piece, on this machine."""

from config.errors import ConfigError
from services.context import ServiceContext
from services.hearing.utterance_stt import UtteranceSTTService
from services.hearing.utterances import Whole
from services.whisper import LANGUAGES, WhisperSTTOptions
from services.whisper.models import FAILURES, Build, Reading, loaded

#: From the end of speech to its text: 200 ms until the pause is noticed, the rest for the model.
#: An estimate; it depends on the model and the machine.
TTFS_P99_SECONDS = 2.0


class WhisperSTTService(UtteranceSTTService):
    """Has the process's model read what was said between two pauses.

    Not Pipecat's class of this name: that one reads the model from disk, or from the internet, on
    the event loop for every call, takes 8 kHz audio for 16 kHz, runs in threads without bound,
    and says nothing at all where nothing was understood.
    """


class Read(Whole):
    """An utterance that the model reads.

    Args:
        rate_hz: Of its audio.
        build: Which model.
        reading: How to read it.
        timeout_seconds: Limit for it.
    """

    def __init__(
        self, rate_hz: int, build: Build, reading: Reading, timeout_seconds: float
    ) -> None:
        super().__init__(rate_hz)
        self._build = build
        self._reading = reading
        self._timeout_seconds = timeout_seconds

    async def read(self, pcm: bytes) -> str:
        """See the base class."""
        try:
            recogniser = await loaded(self._build, self._reading.language)
        except ConfigError as error:
            raise FAILURES.failure("stt", "no_model", error.message, retryable=False) from error
        return await recogniser.read(pcm, self.rate_hz, self._reading, self._timeout_seconds)


def build_stt(options: WhisperSTTOptions, context: ServiceContext) -> WhisperSTTService:
    """A recogniser for one call; the model is read from disk when an agent is loaded."""

    def listen(language: str) -> Read:
        reading = Reading(
            language=language,
            beam_size=options.beam_size,
            initial_prompt=options.initial_prompt,
            hotwords=options.hotwords,
            no_speech_threshold=options.no_speech_threshold,
        )
        return Read(context.rate_hz, build_of(options), reading, options.timeout_seconds)

    return WhisperSTTService(
        listen,
        language=context.vendor_language or "en",
        languages=LANGUAGES,
        failures=FAILURES,
        ttfs_p99_seconds=TTFS_P99_SECONDS,
        rate_hz=context.rate_hz,
        max_speech_seconds=options.max_speech_seconds,
    )


async def prepare(options: WhisperSTTOptions, context: ServiceContext) -> None:
    """Read the model when an agent is loaded.

    Raises:
        ConfigError: It is not on disk, is none, or lacks the language.
    """
    await loaded(build_of(options), context.vendor_language or "en")


def build_of(options: WhisperSTTOptions) -> Build:
    """Which model the options mean, and how it runs."""
    return Build(
        name=options.model,
        device=options.device,
        compute_type=options.compute_type,
        parallel=options.parallel,
        cpu_threads=options.cpu_threads,
    )
