"""What one call was like, as figures, as text and as a picture to listen to with the eyes."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from simulators.caller.client import ClientCaller
from simulators.caller.heard import Gap
from simulators.caller.leg import Leg, TranscriptLine, Violation
from simulators.caller.turns import Turn
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Pcm

_BARS: Final = " ▁▂▃▄▅▆▇█"
_FLOOR_DBFS: Final = -48.0
_CEILING_DBFS: Final = -9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """One call, measured at the caller's end. Times are milliseconds since its zero.

    Attributes:
        answer_ms: How long the answer webhook took; None where there was none.
        connect_ms: How long the socket took to open.
        first_audio_ms: From ``start`` (client: ``ready``) to the first audio received.
        dropped: Packets not sent because the server did not read.
        stored: Where the server says recording, transcript and record are, by name.
    """

    call_id: str
    dialect: str
    wire_format: str
    duration_ms: float
    answer_ms: float | None
    connect_ms: float | None
    first_audio_ms: float | None
    turns: tuple[Turn, ...]
    gaps: tuple[Gap, ...]
    transcript: tuple[TranscriptLine, ...]
    violations: tuple[Violation, ...]
    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    dropped: int
    close_code: int | None
    said: Pcm
    heard: Pcm
    said_hz: int
    heard_hz: int
    stored: tuple[tuple[str, str], ...] = ()

    @property
    def responses_ms(self) -> tuple[float, ...]:
        """Latency of every turn that was answered."""
        return tuple(turn.response_ms for turn in self.turns if turn.response_ms is not None)

    def as_json(self) -> dict[str, Any]:
        """Everything but the audio, ready for ``json.dumps``."""
        skipped = ("said", "heard", "turns", "gaps", "transcript", "violations", "stored")
        names = (name for name in self.__dataclass_fields__ if name not in skipped)
        rounded: dict[str, Any] = {name: _rounded(getattr(self, name)) for name in names}
        for name in ("turns", "gaps", "transcript", "violations"):
            rounded[name] = [
                {key: _rounded(value) for key, value in asdict(each).items()}
                for each in getattr(self, name)
            ]
        rounded["stored"] = dict(self.stored)
        json.dumps(rounded)
        return rounded

    def as_text(self, *, width: int = 96) -> str:
        """A summary for a person, with the picture at its end."""
        lines = [
            f"call {self.call_id} ({self.dialect}, {self.wire_format}), "
            f"{self.duration_ms / 1000:.1f} s",
            f"  answered in {_ms(self.answer_ms)}, connected in {_ms(self.connect_ms)}, "
            f"first audio after {_ms(self.first_audio_ms)}",
        ]
        lines += [f"  {_describe(turn)}" for turn in self.turns]
        longest = max((gap.length_ms for gap in self.gaps), default=0.0)
        lines.append(
            f"  gaps heard: {len(self.gaps)}"
            + (f", the longest {longest:.0f} ms" if self.gaps else "")
        )
        lines.append(
            f"  packets: {self.packets_sent} sent, {self.packets_received} received, "
            f"{self.dropped} dropped; {(self.bytes_sent + self.bytes_received) / 1024:.0f} KiB"
        )
        lines += [f"  not allowed: {each.text} (at {each.at_ms:.0f} ms)"
                  for each in self.violations[:10]]  # fmt: skip
        lines += [f"  {name}: {place}" for name, place in self.stored]
        return "\n".join([*lines, "", self.plot(width=width)])

    def plot(self, *, width: int = 96, seconds_per_line: float = 12.0) -> str:
        """Both legs as bars of loudness over time, gaps marked with ``!`` below them."""
        cell_ms = seconds_per_line * 1000 / width
        cells = max(1, math.ceil(self.duration_ms / cell_ms))
        legs = {
            "caller": _bars(self.said, self.said_hz, cell_ms, cells),
            "agent": _bars(self.heard, self.heard_hz, cell_ms, cells),
        }
        marks = [" "] * cells
        for gap in self.gaps:
            marks[min(cells - 1, int(gap.start_ms / cell_ms))] = "!"
        rows: list[str] = []
        for start in range(0, cells, width):
            stop = start + width
            rows.append(f"{start * cell_ms / 1000:7.1f} s")
            rows += [f"{name:>8} |{bars[start:stop]}|" for name, bars in legs.items()]
            below = "".join(marks[start:stop]).rstrip()
            rows += [f"{'gap':>8}  {below}"] if below else []
        return "\n".join(rows)


def report_of(leg: Leg, *, stored: tuple[tuple[str, str], ...] = ()) -> CallReport:
    """Measure a call, at its end or in its midst."""
    call_id, dialect, answer_ms, connect_ms = "", "client", None, None
    sent, received, dropped = 0, 0, 0
    if isinstance(leg, VobizCaller):
        call_id, dialect = leg.call_id, "vobiz"
        answer_ms, connect_ms = leg.log.answer_ms, leg.log.connect_ms
        (sent, received), dropped = leg.bytes_on_wire, leg.dropped
    elif isinstance(leg, ClientCaller):
        call_id, connect_ms = leg.session_id, leg.connect_ms
        (sent, received), dropped = leg.bytes_on_wire, leg.dropped
    heard = leg.heard
    segments = leg.playback.segments
    return CallReport(
        call_id=call_id,
        dialect=dialect,
        wire_format=f"{leg.wire_format.encoding};rate={leg.wire_format.rate_hz}",
        duration_ms=leg.duration_ms,
        answer_ms=answer_ms,
        connect_ms=connect_ms,
        first_audio_ms=leg.first_audio_ms,
        turns=leg.turns(),
        gaps=leg.gaps(),
        transcript=tuple(leg.transcript),
        violations=tuple(leg.violations),
        packets_sent=leg.packets_sent,
        packets_received=leg.packets_received,
        bytes_sent=sent,
        bytes_received=received,
        dropped=dropped,
        close_code=leg.close_code,
        said=leg.said,
        heard=heard,
        said_hz=leg.wire_format.rate_hz,
        heard_hz=segments[0].format.rate_hz if segments else 8000,
        stored=stored,
    )


def _bars(pcm: Pcm, rate_hz: int, cell_ms: float, cells: int) -> str:
    step = cell_ms * rate_hz / 1000
    bars: list[str] = []
    for cell in range(cells):
        part = pcm[int(cell * step) : int((cell + 1) * step)].astype(np.float64)
        rms = float(np.sqrt(np.mean(np.square(part)))) if part.size else 0.0
        dbfs = 20 * math.log10(rms / 32768) if rms > 0 else -math.inf
        share = (dbfs - _FLOOR_DBFS) / (_CEILING_DBFS - _FLOOR_DBFS)
        top = len(_BARS) - 1
        bars.append(_BARS[0 if share <= 0 else min(top, 1 + int(share * (top - 1)))])
    return "".join(bars)


def _describe(turn: Turn) -> str:
    what = f"key {turn.text}" if turn.kind == "key" else f"“{turn.text}”"
    cut = f", agent fell silent {turn.cut_ms:.0f} ms into it" if turn.cut_ms is not None else ""
    answer = "no answer" if turn.response_ms is None else f"answered in {turn.response_ms:.0f} ms"
    return f"{turn.end_ms / 1000:6.2f} s  {what}: {answer}{cut}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _rounded(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value
