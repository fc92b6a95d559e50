"""One stream of speech: ``start``, float samples, ``end``; ``ready`` and texts come back."""

from typing import Any, Final

import msgspec
import numpy as np

from simulators.bhashini.speech import STT_LANGUAGES
from simulators.connection import Connection

RATE_HZ: Final = 16_000
SERVICE: Final = "bhashini/ai4b/indic-conformer/grpc"
_SAMPLE_BYTES: Final = 4


class WrongStream(Exception):
    """A message that the server answers with an error."""


class Stream:
    """What was said over one connection.

    Args:
        connection: Over which it comes.

    Attributes:
        language: As the client named it.
        service_id: The recogniser that it asked for.
        samples: How many came.
        loudness_sum: Of their sizes.
    """

    def __init__(self, connection: Connection) -> None:
        self.language = ""
        self.service_id = ""
        self.samples = 0
        self.loudness_sum = 0.0
        self._connection = connection

    @property
    def duration_ms(self) -> float:
        """How much was said."""
        return self.samples / RATE_HZ * 1000

    @property
    def loudness(self) -> float:
        """Mean size of the samples, 0 to 1."""
        return self.loudness_sum / self.samples if self.samples else 0.0

    def start(self, text: str) -> None:
        """Take the first message.

        Raises:
            WrongStream: It isn't what the server wants.
        """
        try:
            message = msgspec.json.decode(text)
            config, streaming = message["config"], message["streamingConfig"]
            self.language = config["language"]["sourceLanguage"]
            self.service_id = config["serviceId"]
            form = [config["audioFormat"], config["encoding"], config["samplingRate"]]
            policy = streaming["endOfStreamPolicy"]
            first = message["type"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise WrongStream("INVALID_START") from error
        if first != "start" or form != ["pcm", "raw", RATE_HZ] or policy != "client_signal":
            raise WrongStream("INVALID_CONFIG")
        if self.service_id != SERVICE:
            raise WrongStream("INVALID_SERVICE_TASK")
        if self.language not in STT_LANGUAGES:
            raise WrongStream("INVALID_LANGUAGE")

    def hear(self, data: bytes) -> None:
        """Take audio.

        Raises:
            WrongStream: It isn't float samples from -1 to 1.
        """
        if len(data) % _SAMPLE_BYTES:
            raise WrongStream("INVALID_AUDIO")
        sizes = np.abs(np.frombuffer(data, dtype="<f4"))
        if not np.isfinite(sizes).all() or sizes.max(initial=0.0) > 1.0:
            raise WrongStream("INVALID_AUDIO")
        self.samples += len(sizes)
        self.loudness_sum += float(sizes.sum())
        self._connection.hear(data)


def message(kind: str, **fields: Any) -> str:
    """A message of the server."""
    return msgspec.json.encode({"type": kind, **fields}).decode()


def transcript(text: str, *, is_final: bool) -> str:
    """What was understood so far, or at last."""
    return message("transcript", output=[{"source": text}], isFinal=is_final)
