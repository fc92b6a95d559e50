"""The first message of a synthesis socket, checked as Sarvam documents it."""

from typing import Any, Final

from simulators.base import names

LANGUAGES: Final = names("bn-IN en-IN gu-IN hi-IN kn-IN ml-IN mr-IN od-IN pa-IN ta-IN te-IN")
MODELS: Final = names("bulbul:v3 bulbul:v3-beta bulbul:v4-flash")
#: Sarvam's codecs that the simulator can make, and its own names for them.
CODECS: Final = {"linear16": "pcm_s16le", "mulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_RATES_HZ: Final = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_FIELDS: Final = names(
    "target_language_code speaker speech_sample_rate enable_preprocessing min_buffer_size "
    "max_chunk_length output_audio_codec output_audio_bitrate pace model pitch loudness temperature"
)
#: What a model doesn't have.
_LACKING: Final = {
    "bulbul:v3": names("pitch loudness"),
    "bulbul:v3-beta": names("pitch loudness"),
    "bulbul:v4-flash": names("temperature"),
}


class WrongMessage(Exception):
    """A message that the server answers with an error."""


class Config:
    """How to speak.

    Args:
        data: Of the ``config`` message.
        model: That the address names.

    Raises:
        WrongMessage: It isn't what the server wants.
    """

    def __init__(self, data: Any, model: str) -> None:
        if not isinstance(data, dict):
            raise WrongMessage("config needs data")
        if unknown := sorted(set(data) - _FIELDS):
            raise WrongMessage(f"unknown fields: {unknown}")
        if data.get("model", model) != model:
            raise WrongMessage(f"the address names {model}")
        if wrong := sorted(_LACKING[model] & set(data)):
            raise WrongMessage(f"{model} has no {wrong}")
        self.language = data.get("target_language_code")
        if self.language not in LANGUAGES:
            raise WrongMessage(f"target_language_code: {self.language!r}")
        self.speaker = data.get("speaker")
        if not isinstance(self.speaker, str) or not self.speaker:
            raise WrongMessage("speaker is required")
        rate = str(data.get("speech_sample_rate", 24_000))
        if rate not in map(str, _RATES_HZ):
            raise WrongMessage(f"speech_sample_rate: {rate}")
        self.rate_hz = int(rate)
        codec = data.get("output_audio_codec", "mp3")
        if codec not in CODECS:
            raise WrongMessage(f"output_audio_codec: {codec} isn't simulated")
        self.codec = codec
        self.pace = data.get("pace", 1.0)
        if not isinstance(self.pace, (int, float)) or not 0.5 <= self.pace <= 2.0:
            raise WrongMessage(f"pace: {self.pace!r}")
        self.min_buffer_size = data.get("min_buffer_size", 50)
        if not isinstance(self.min_buffer_size, int) or not 30 <= self.min_buffer_size <= 200:
            raise WrongMessage(f"min_buffer_size: {self.min_buffer_size!r}")
