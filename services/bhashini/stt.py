"""Bhashini speech-to-text in a call: has each stretch of speech between two pauses read."""

from services.bhashini import STT_LANGUAGES, BhashiniSTTOptions
from services.bhashini.addresses import pipeline_address, stream_address
from services.bhashini.failures import FAILURES
from services.bhashini.pipeline import Pipeline
from services.bhashini.utterances import Recognition, Recorded, Streamed, Streaming
from services.context import ServiceContext
from services.hearing.utterance_stt import Listen, UtteranceSTTService

#: From the end of speech to its text: 200 ms until the pause is noticed, and up to 700 ms for
#: the final text. An estimate.
TTFS_P99_SECONDS = 1.0
STREAM_SERVICE = "bhashini/ai4b/indic-conformer/grpc"
PIPELINE_SERVICE = "bhashini/ai4bharat/conformer-multilingual-asr"


class BhashiniSTTService(UtteranceSTTService):
    """Streams each utterance over a socket of its own, or sends it whole."""


def build_stt(options: BhashiniSTTOptions, context: ServiceContext) -> BhashiniSTTService:
    """A recogniser for one call.

    Raises:
        ConfigError: The address is none.
    """
    listener = _streamed if options.mode == "streaming" else _recorded
    return BhashiniSTTService(
        listener(options, context),
        language=context.vendor_language or "hi",
        languages=STT_LANGUAGES,
        failures=FAILURES,
        ttfs_p99_seconds=TTFS_P99_SECONDS,
        rate_hz=context.rate_hz,
        max_speech_seconds=options.max_speech_seconds,
    )


def _streamed(options: BhashiniSTTOptions, context: ServiceContext) -> Listen:
    server = Streaming(
        http=context.http,
        url=stream_address(context.base_url),
        key=_key(context),
        connect_timeout_seconds=options.connect_timeout_seconds,
        final_timeout_seconds=options.final_timeout_seconds,
    )
    return lambda language: Streamed(
        context.rate_hz, server, _recognition(options, language, STREAM_SERVICE)
    )


def _recorded(options: BhashiniSTTOptions, context: ServiceContext) -> Listen:
    pipeline = Pipeline(
        http=context.http,
        url=pipeline_address(context.base_url, "stt"),
        key=_key(context),
        stage="stt",
        timeout_seconds=options.timeout_seconds,
    )
    return lambda language: Recorded(
        context.rate_hz, pipeline, _recognition(options, language, PIPELINE_SERVICE)
    )


def _recognition(options: BhashiniSTTOptions, language: str, service_id: str) -> Recognition:
    return Recognition(
        language=language,
        service_id=options.service_id or service_id,
        post_processors=options.post_processors,
    )


def _key(context: ServiceContext) -> str:
    return context.api_key.get_secret_value() if context.api_key else ""
