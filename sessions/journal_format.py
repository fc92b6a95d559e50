"""How a journal lies on disk, for its writer and its readers alike.

    <journal root>/<session uuid>/      each file in the clear, or see sessions.journal_seal
        header.json     who, when and in which formats: written first, never changed; a second copy
                        is the first line of events.jsonl
        media.log       both legs' wire bytes and the cuts, in the order they happened
        events.jsonl    one CallEvent per line, its class in "type"

``media.log`` is a sequence of frames: kind (1 byte), payload length (4), time in ms (8, double),
then the payload, all little-endian. One file for both legs costs one system call per flush and
call, and keeps a cut in order with the audio that it cuts. It is read by
:mod:`sessions.journal_frames`.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

import msgspec
from loguru import logger

from bot.events import CallEvent
from serializer.codecs import AudioFormat
from sessions.journal_seal import (
    EVENTS_FILE,
    HEADER_FILE,
    MEDIA_FILE,
    ClearFile,
    check_version,
    open_clear,
    read_whole,
)

HEADER_NAME = "header.json"
MEDIA_NAME = "media.log"
EVENTS_NAME = "events.jsonl"
#: Folders that are being made (``.new-``) or removed (``.gone-``) begin with a dot.
NEW_PREFIX = ".new-"
GONE_PREFIX = ".gone-"

CALLER, AGENT, CUT = 1, 2, 3

#: Kind of the ``Degraded`` event of a call whose sound is lost because the disk fails.
RECORDING_FAILED = "recording_failed"

FRAME = struct.Struct("<BId")
FRAME_BYTES = FRAME.size
#: A packet holds at most seconds of audio; a longer one means that the file is damaged.
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024
#: Times of events beyond a week, and beginnings beyond what a calendar has, are damage.
LONGEST_MS = 7 * 24 * 3600 * 1000.0
_LATEST_START = 100_000_000_000.0


#: What is newer may mean something else by the same words: it is left for a newer server.
HEADER_VERSION = 1
#: Where records lie, in the kind ``transcripts``.
RECORDS = "records/"
_HEADER_LINE = b'{"type":"JournalHeader",'

RecordingFormat = Literal["wav", "flac", "opus"]
#: What can be deleted of a call on its own; ``record`` is everything.
Part = Literal["recording", "transcript", "record"]


@dataclass
class FileDamage:
    """What of a journal's file could not be read.

    Attributes:
        lost_bytes: Passed over.
        torn_bytes: At the end, of something that is not there wholly.
    """

    lost_bytes: int = 0
    torn_bytes: int = 0


class JournalHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a call when its media begin.

    Attributes:
        session_id: Our own UUID; names the folder.
        started_at: Wall clock of ms zero, in seconds since 1970 (UTC).
        dialect: Who speaks on the wire: ``vobiz``, ``client``, …
        vendors: Stage (``stt``, ``llm``, ``tts``) to the providers that were asked for, in order.
        record_audio: False where the agent's file turns recording off.
        stereo: Caller left and agent right; otherwise both in one channel.
        recording_format: What the recording is written as.
        carrier_recording_seconds: How long the carrier is to record the call at most; 0 where it
            is not.
        retention_days: After how many days a part is deleted; without a number, never.
        labels: Anything else that goes into the record unchanged.
    """

    session_id: str
    started_at: float
    agent_id: str
    agent_hash: str
    caller_format: AudioFormat
    agent_format: AudioFormat
    direction: Literal["inbound", "outbound", "client"]
    dialect: str
    agent_name: str = ""
    language: str | None = None
    carrier_call_id: str | None = None
    carrier_stream_id: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    vendors: dict[str, list[str]] = {}
    record_audio: bool = True
    stereo: bool = True
    recording_format: RecordingFormat = "wav"
    carrier_recording_seconds: int = 0
    retention_days: dict[Part, int] = {}
    labels: dict[str, str] = {}
    version: int = HEADER_VERSION

    @property
    def key(self) -> str:
        """Where its files lie in the store, but for their endings: the day in UTC, and its id.

        Raises:
            OverflowError, ValueError, OSError: It cannot have begun then.
        """
        return f"{datetime.fromtimestamp(self.started_at, UTC):%Y/%m/%d}/{self.session_id}"

    @property
    def record_key(self) -> str:
        """Where its record lies, in the kind ``transcripts``; raises as :attr:`key` does."""
        return f"{RECORDS}{self.key}.json"


def _event_types(base: type[CallEvent]) -> Iterator[type[CallEvent]]:
    for child in base.__subclasses__():
        yield child
        yield from _event_types(child)


_EVENT_TYPES = {kind.__name__: kind for kind in _event_types(CallEvent)}


def encode_event(event: CallEvent) -> bytes:
    """One line of JSON, with the name of the event's class as ``type``."""
    # Every event has at_ms, so the object is never empty and a comma may follow the type.
    return b'{"type":"%b",%b\n' % (type(event).__name__.encode(), encode_json(event)[1:])


def encode_json(value: CallEvent | JournalHeader) -> bytes:
    """JSON in one line; a vendor's JSON may hold half a character (a lone surrogate), a ``?`` here.

    Python's own reader lets such halves through, and UTF-8 has none.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        return text.encode("utf-8", "replace")


def _is_in_time(ms: float) -> bool:
    return -LONGEST_MS <= ms <= LONGEST_MS


def decode_events(lines: Iterable[bytes], damage: FileDamage | None = None) -> Iterator[CallEvent]:
    """The events in ``lines``; torn, damaged and unknown ones are left out.

    Args:
        damage: Counts those that are torn or damaged.
    """
    damage = FileDamage() if damage is None else damage
    for line in lines:
        try:
            fields = msgspec.json.decode(line, type=dict[str, object])
            name = str(fields.pop("type"))
            if (kind := _EVENT_TYPES.get(name)) is None:
                continue  # Of another version.
            event = msgspec.convert(fields, kind)
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
            if line.endswith(b"\n"):
                damage.lost_bytes += len(line)
            else:
                damage.torn_bytes += len(line)
            continue
        if _is_in_time(event.at_ms) and _is_in_time(getattr(event, "started_ms", 0.0)):
            yield event
        else:
            damage.lost_bytes += len(line)


def header_line(header: JournalHeader) -> bytes:
    """The header as a line among the events, which readers of events pass over."""
    return _HEADER_LINE + encode_json(header)[1:] + b"\n"


def read_header(folder: Path) -> JournalHeader:
    """The header of a journal, from its copy among the events where its own file is damaged.

    Raises:
        FileNotFoundError: There is none.
        msgspec.MsgspecError: It cannot be read.
        JournalKeyError: It is sealed with a key that is not known here.
        JournalVersionError: It was written by a newer version of the server.
    """
    try:
        return _header(read_whole(folder, HEADER_NAME, HEADER_FILE), folder)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        if (copy := _copied_header(folder)) is None:
            raise
        logger.warning("journal {}: its header is read from its copy: {}", folder.name, error)
        return copy


def _header(data: bytes, folder: Path) -> JournalHeader:
    check_version(data, HEADER_VERSION, f"journal {folder.name}")
    header = msgspec.json.decode(data, type=JournalHeader)
    if not 0 <= header.started_at <= _LATEST_START:
        raise msgspec.ValidationError(f"a call cannot have begun at {header.started_at}")
    return header


def _copied_header(folder: Path) -> JournalHeader | None:
    try:
        lines = read_whole(folder, EVENTS_NAME, EVENTS_FILE).splitlines()
        copy = next((line for line in lines if line.startswith(_HEADER_LINE)), b"")
        return _header(b"{" + copy.removeprefix(_HEADER_LINE), folder) if copy else None
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def read_events(folder: Path, damage: FileDamage | None = None) -> list[CallEvent]:
    """Every readable event of a journal, in the order written.

    Args:
        damage: Counts what could not be read.
    """
    damage = FileDamage() if damage is None else damage
    try:
        with open_clear(folder, EVENTS_NAME, EVENTS_FILE) as clear:
            damage.lost_bytes += clear.lost_bytes
            damage.torn_bytes += clear.torn_bytes
            text = clear.read(clear.size, 0)
    except FileNotFoundError:
        return []
    return list(decode_events(BytesIO(text), damage))


def open_media(folder: Path) -> ClearFile:
    """The media file of a journal, to be read at the offsets that ``read_frames`` gives."""
    return open_clear(folder, MEDIA_NAME, MEDIA_FILE)
