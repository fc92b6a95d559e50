"""The messages of Deepgram's live transcription, as JSON.

Shapes as in the message types of Deepgram's SDK 7.17.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from simulators.deepgram.query import ListenQuery
from simulators.deepgram.script import Utterance

_encode = msgspec.json.Encoder().encode


def to_json(message: Any) -> str:
    """JSON text, with letters of every script as they are."""
    return _encode(message).decode()


class Messages:
    """Makes the messages of one stream.

    Args:
        query: What the client asked for.
        request_id: Identifies the stream.
    """

    def __init__(self, query: ListenQuery, request_id: str) -> None:
        self._multilingual = query.language == "multi"
        self._punctuated = query.options.get("punctuate") == "true" or (
            query.options.get("smart_format") == "true"
        )
        self.request_id = request_id
        self._metadata = {
            "request_id": request_id,
            "model_uuid": "00000000-0000-4000-8000-000000000003",
            "model_info": {
                "name": f"general-{query.model}",
                "version": "2026-01-01.0",
                "arch": "nova-3" if query.is_nova_3 else query.model.split("-general")[0],
            },
        }

    def results(
        self,
        text: str,
        utterance: Utterance,
        *,
        start_ms: float,
        end_ms: float,
        words_from_ms: float,
        is_final: bool,
        speech_final: bool,
        from_finalize: bool = False,
    ) -> str:
        """A ``Results`` message about the stretch from ``start_ms`` to ``end_ms``."""
        alternative: dict[str, Any] = {
            "transcript": text,
            "confidence": utterance.confidence if text else 0.0,
            "words": self._words(text, utterance, words_from_ms, end_ms),
        }
        if self._multilingual:
            alternative["languages"] = [utterance.language] if text else []
        return to_json(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": round((end_ms - start_ms) / 1000, 3),
                "start": round(start_ms / 1000, 3),
                "is_final": is_final,
                "speech_final": speech_final,
                "channel": {"alternatives": [alternative]},
                "metadata": self._metadata,
                "from_finalize": from_finalize,
            }
        )

    def _words(
        self, text: str, utterance: Utterance, start_ms: float, end_ms: float
    ) -> list[dict[str, Any]]:
        words = text.split()
        if not words:
            return []
        step = (end_ms - start_ms) / len(words) / 1000
        found = []
        for number, word in enumerate(words):
            begin = start_ms / 1000 + number * step
            entry: dict[str, Any] = {
                "word": word.strip(".,?!।").lower() or word,
                "start": round(begin, 3),
                "end": round(begin + step, 3),
                "confidence": utterance.confidence,
            }
            if self._punctuated:
                entry["punctuated_word"] = word
            if self._multilingual:
                entry["language"] = utterance.language
            found.append(entry)
        return found

    def metadata(self, audio: bytes | bytearray, duration_ms: float) -> str:
        """The ``Metadata`` that closes a stream."""
        return to_json(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.request_id,
                "sha256": hashlib.sha256(audio).hexdigest(),
                "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "duration": round(duration_ms / 1000, 3),
                "channels": 1,
            }
        )

    def configured(self, keyterms: Sequence[str] | None) -> str:
        """``ConfigureSuccess``."""
        message: dict[str, Any] = {"type": "ConfigureSuccess", "request_id": self.request_id}
        if keyterms is not None:
            message["keyterms"] = list(keyterms)
        return to_json(message)

    def not_configured(self, code: str, description: str) -> str:
        """``ConfigureFailure``."""
        return to_json(
            {
                "type": "ConfigureFailure",
                "request_id": self.request_id,
                "code": code,
                "description": description,
            }
        )


def speech_started(at_ms: float) -> str:
    """``SpeechStarted``."""
    return to_json({"type": "SpeechStarted", "channel": [0, 1], "timestamp": at_ms / 1000})


def utterance_end(last_word_end_ms: float) -> str:
    """``UtteranceEnd``."""
    end = round(last_word_end_ms / 1000, 3)
    return to_json({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end})


def error(variant: str, description: str, message: str = "") -> str:
    """``Error``; ``message`` is what the client sent."""
    return to_json(
        {"type": "Error", "variant": variant, "description": description, "message": message}
    )
