"""What `wss://…/v1/listen` accepts in its query, and what it says of anything else.

Parameters as in Deepgram's SDK 7.17 and its documentation of live streaming.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from simulators.base import names
from simulators.energy import ENCODINGS

_BOOLEAN: Final = names(
    "detect_entities diarize dictation interim_results mip_opt_out multichannel numerals"
    " profanity_filter punctuate smart_format vad_events"
)
_REPEATABLE: Final = names("extra keyterm keywords language_hint redact replace search tag")
_SINGLE: Final = names(
    "callback callback_method channels diarize_model encoding endpointing language model"
    " sample_rate utterance_end_ms version"
)
_ALL_ENCODINGS: Final = names(
    "linear16 linear32 flac alaw mulaw amr-nb amr-wb opus ogg-opus speex g729"
)
_MODELS: Final = names(
    "nova-3 nova-3-general nova-3-medical nova-2 nova-2-general nova-2-meeting nova-2-finance"
    " nova-2-conversationalai nova-2-voicemail nova-2-video nova-2-medical nova-2-drivethru"
    " nova-2-automotive nova-2-phonecall nova nova-general nova-phonecall enhanced"
    " enhanced-general enhanced-phonecall base"
)
_ENGLISH: Final = names("en en-AU en-GB en-IN en-NZ en-US")
_NOVA_3: Final = _ENGLISH | names(
    "multi hi bn gu gu-IN kn mr pa pa-IN ta te ur ne as"
    " bg ca cs da de de-CH el es es-419 et fi fr fr-CA hu id it ja ko lt lv ms nl nl-BE no pl"
    " pt pt-BR pt-PT ro ru sk sv tr uk vi"
)
_NOVA_2: Final = _ENGLISH | names(
    "multi hi hi-Latn bg ca cs da de de-CH el es es-419 et fi fr fr-CA hu id it ja ko lt lv ms"
    " nl nl-BE no pl pt pt-BR pt-PT ro ru sk sv th tr uk vi zh zh-CN zh-TW"
)
_OLDER: Final = _ENGLISH | names("hi hi-Latn es fr de pt")
_SHORTEST_UTTERANCE_END_MS: Final = 1000
_DEFAULT_ENDPOINTING_MS: Final = 10


class BadRequest(ValueError):
    """The query is wrong; the text is for the client."""


@dataclass(frozen=True, slots=True)
class ListenQuery:
    """A valid query.

    Attributes:
        endpointing_ms: None where endpointing is off.
    """

    model: str
    language: str
    encoding: str
    sample_rate_hz: int
    endpointing_ms: int | None
    interim_results: bool = False
    vad_events: bool = False
    utterance_end_ms: int | None = None
    keyterms: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_nova_3(self) -> bool:
        """Whether the model belongs to the third generation."""
        return self.model.startswith("nova-3")


def parse_query(query: Sequence[tuple[str, str]]) -> ListenQuery:
    """Check a query as Deepgram does.

    Raises:
        BadRequest: What is wrong with it.
    """
    single = _single_values(query)
    model = single.get("model", "base")
    language = single.get("language", "en")
    _check_language(model, language)
    keyterms = tuple(value for name, value in query if name == "keyterm")
    _check_terms(model, keyterms, any(name == "keywords" for name, _ in query))
    interim_results = single.get("interim_results") == "true"
    return ListenQuery(
        model=model,
        language=language,
        encoding=_encoding(single),
        sample_rate_hz=_integer(single, "sample_rate", 8000, 48000),
        endpointing_ms=_endpointing(single),
        interim_results=interim_results,
        vad_events=single.get("vad_events") == "true",
        utterance_end_ms=_utterance_end(single, interim_results),
        keyterms=keyterms,
        options=single,
    )


def _single_values(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    single: dict[str, str] = {}
    for name, value in query:
        if name in _REPEATABLE:
            if not value:
                raise BadRequest(f"Empty value for query parameter: {name}")
        elif name not in _BOOLEAN and name not in _SINGLE:
            raise BadRequest(f"Unknown query parameter: {name}")
        elif name in single:
            raise BadRequest(f"Query parameter given more than once: {name}")
        elif name in _BOOLEAN and value not in ("true", "false"):
            raise BadRequest(f"Invalid value for {name}: {value!r} is neither true nor false")
        else:
            single[name] = value
    return single


def _check_language(model: str, language: str) -> None:
    languages = _OLDER
    if model.startswith("nova-3"):
        languages = _NOVA_3
    elif model.startswith("nova-2"):
        languages = _NOVA_2
    if model not in _MODELS or language not in languages:
        raise BadRequest("No such model/language/tier combination found.")


def _check_terms(model: str, keyterms: Sequence[str], has_keywords: bool) -> None:
    if keyterms and not model.startswith("nova-3"):
        raise BadRequest("Keyterm Prompting is only supported for Nova-3 models.")
    if has_keywords and model.startswith("nova-3"):
        raise BadRequest("Keywords are not supported for Nova-3 models; use keyterm.")


def _encoding(single: Mapping[str, str]) -> str:
    encoding = single.get("encoding")
    if encoding is None or "sample_rate" not in single:
        raise BadRequest("Raw audio needs both encoding and sample_rate.")
    if encoding not in _ALL_ENCODINGS:
        raise BadRequest(f"Invalid encoding: {encoding}")
    if encoding not in ENCODINGS:
        raise BadRequest(f"This simulator doesn't decode {encoding}")
    if _integer(single, "channels", 1, 20, default=1) != 1:
        raise BadRequest("This simulator hears one channel")
    return encoding


def _endpointing(single: Mapping[str, str]) -> int | None:
    if single.get("endpointing") == "false":
        return None
    if single.get("endpointing") == "true":
        return _DEFAULT_ENDPOINTING_MS
    return _integer(single, "endpointing", 0, 60_000, default=_DEFAULT_ENDPOINTING_MS)


def _utterance_end(single: Mapping[str, str], interim_results: bool) -> int | None:
    if "utterance_end_ms" not in single:
        return None
    if not interim_results:
        raise BadRequest("utterance_end_ms requires interim_results=true.")
    return _integer(single, "utterance_end_ms", _SHORTEST_UTTERANCE_END_MS, 60_000)


def _integer(
    single: Mapping[str, str], name: str, lowest: int, highest: int, *, default: int | None = None
) -> int:
    text = single.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"Invalid value for {name}: {text!r} is not a number")
    if not lowest <= int(text) <= highest:
        raise BadRequest(f"Invalid value for {name}: {text} is not in {lowest} to {highest}")
    return int(text)
