"""Requests to the ULCA pipeline, checked, and the answers in its shapes."""

import base64
import binascii
import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulators import tone
from simulators.base import names
from simulators.bhashini.speech import STT_LANGUAGES

_CHAINS: Final = (["asr"], ["tts"])
_TTS_FAMILIES: Final = {
    "dravidian": names("kn ml ta te"),
    "indo_aryan": names("as bn gu hi mr or pa"),
    "misc": names("brx en mni"),
}
ASR_SERVICES: Final = names("bhashini/ai4bharat/conformer-multilingual-asr")
TTS_SERVICES: Final = {
    f"ai4bharat/indic-tts-coqui-{family}-gpu--t4": languages
    for family, languages in _TTS_FAMILIES.items()
}


class WrongTask(Exception):
    """A request that the pipeline refuses.

    Args:
        status: HTTP status.
        detail: What it says.
    """

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text that was spoken.

    Attributes:
        frequency_hz: The tone that it is heard by.
        duration_ms: How long it is.
    """

    text: str
    language: str
    service_id: str
    gender: str
    rate_hz: int
    frequency_hz: int
    duration_ms: float


def task_of(body: Any) -> tuple[str, Mapping[str, Any], Mapping[str, Any]] | None:
    """Kind, configuration and input of the one task; None for a chain that isn't valid here.

    Raises:
        WrongTask: The body hasn't the documented form.
    """
    try:
        tasks, data = body["pipelineTasks"], body["inputData"]
        kinds = [task["taskType"] for task in tasks]
        configs = [task["config"] for task in tasks]
    except (KeyError, TypeError) as error:
        raise WrongTask(422, f"field required: {error}") from error
    if kinds not in _CHAINS:
        return None
    return kinds[0], configs[0], data


def language_of(config: Mapping[str, Any]) -> str:
    """``language.sourceLanguage``.

    Raises:
        WrongTask: There is none.
    """
    try:
        return str(config["language"]["sourceLanguage"])
    except (KeyError, TypeError) as error:
        raise WrongTask(422, f"field required: {error}") from error


def samples_of(config: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[bytes, int]:
    """The 16-bit samples of a recognition, and their rate.

    Raises:
        WrongTask: Service, language, file or rate are wrong.
    """
    if config.get("serviceId") not in ASR_SERVICES:
        raise WrongTask(404, "Invalid Service Id")
    if language_of(config) not in STT_LANGUAGES:
        raise WrongTask(500, {"kind": "DHRUVA-102", "message": "no such language"})
    try:
        file = base64.b64decode(data["audio"][0]["audioContent"], validate=True)
        with wave.open(io.BytesIO(file)) as opened:
            form = (opened.getnchannels(), opened.getsampwidth(), opened.getframerate())
            pcm = opened.readframes(opened.getnframes())
    except (KeyError, IndexError, TypeError) as error:
        raise WrongTask(422, f"field required: {error}") from error
    except (binascii.Error, wave.Error, EOFError) as error:
        raise WrongTask(500, {"kind": "DHRUVA-108", "message": str(error)}) from error
    if config.get("audioFormat") != "wav" or form != (1, 2, config.get("samplingRate")):
        raise WrongTask(500, {"kind": "DHRUVA-108", "message": f"{form} isn't what config says"})
    if form[2] < 8_000:
        raise WrongTask(422, "samplingRate must be 8000 or more")
    return pcm, form[2]


def spoken_of(config: Mapping[str, Any], data: Mapping[str, Any], number: int) -> Spoken:
    """What is to be spoken.

    Raises:
        WrongTask: Service, language, gender, rate or text are wrong.
    """
    service_id, language = str(config.get("serviceId")), language_of(config)
    if service_id not in TTS_SERVICES:
        raise WrongTask(404, "Invalid Service Id")
    if language not in TTS_SERVICES[service_id]:
        raise WrongTask(500, {"kind": "DHRUVA-102", "message": "no such language"})
    gender, rate_hz, speed = (config.get(name) for name in ("gender", "samplingRate", "speed"))
    if gender not in ("male", "female"):
        raise WrongTask(422, "gender must be male or female")
    if not isinstance(rate_hz, int) or rate_hz < 8_000:
        raise WrongTask(422, "samplingRate must be 8000 or more")
    try:
        text = str(data["input"][0]["source"])
    except (KeyError, IndexError, TypeError) as error:
        raise WrongTask(422, f"field required: {error}") from error
    return Spoken(
        text=text,
        language=language,
        service_id=service_id,
        gender=gender,
        rate_hz=rate_hz,
        frequency_hz=tone.frequency(number),
        duration_ms=tone.speech_ms(text) / float(speed or 1.0),
    )


def asr_answer(text: str) -> dict[str, Any]:
    """The pipeline's answer to a recognition."""
    task = {"taskType": "asr", "config": None, "output": [{"source": text}], "audio": None}
    return {"pipelineResponse": [task]}


def tts_answer(
    spoken: Spoken, rate_hz: int, *, voice: tone.Voice | None, odd: bool, empty: bool
) -> dict[str, Any]:
    """The pipeline's answer to a synthesis."""
    pcm = tone.speech(
        spoken.text,
        spoken.duration_ms,
        "pcm_s16le",
        rate_hz,
        voice=voice,
        frequency_hz=spoken.frequency_hz,
    )
    with io.BytesIO() as file:
        with wave.open(file, "wb") as opened:
            opened.setparams((1, 2, rate_hz, 0, "NONE", ""))
            opened.writeframes(b"" if empty else pcm)
        content = file.getvalue()[: -1 if odd else None]
    task = {
        "taskType": "tts",
        "config": {
            "audioFormat": "wav",
            "encoding": "base64",
            "samplingRate": rate_hz,
            "language": {"sourceLanguage": spoken.language},
        },
        "output": None,
        "audio": [{"audioContent": base64.b64encode(content).decode(), "audioUri": None}],
    }
    return {"pipelineResponse": [task]}
