"""Whether what a peer sends comes as fast as calls go, and what to do where it does not."""

from typing import Literal

from bot.allowance import Allowance
from serializer.messages import Control, Dtmf, LanguageChoice, Message, Ping, TextInput

#: Caller audio that may come ahead of real time before packets are dropped.
MAX_AHEAD_MS = 2000.0
#: Audio that comes over this many times faster than real time ...
FLOOD_RATE = 2.0
#: ... for so long is no call any more.
FLOOD_SECONDS = 10

#: Messages of all kinds that are read in a tenth of a second; the rest waits in the socket, which
#: makes its sender wait. A phone line sends five; after a pause in the network 2 s come at once.
MAX_MESSAGES = 100
MESSAGES_SECONDS = 0.1
#: Who sends nothing for so long has stopped.
PAUSE_SECONDS = 1.0
#: What a caller or a client program does: keys, steering, pings. Nobody presses keys faster.
DOINGS_PER_SECOND = 20.0
DOINGS_AT_ONCE = 40.0
#: What is typed. Each is a question to a model, and stays in the conversation.
TEXTS_PER_SECOND = 1.0
TEXTS_AT_ONCE = 5.0

Verdict = Literal["keep", "drop", "flood"]


class MediaPace:
    """Judges each packet by when it came and how much audio has come before it.

    Args:
        started_at: Loop time at which the audio began.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._taken_ms = 0.0
        self._window_at = started_at
        self._window_ms = 0.0
        self._fast_seconds = 0

    def judge(self, now: float, length_ms: float) -> Verdict:
        """What to do with a packet of ``length_ms`` that comes at loop time ``now``."""
        if self._is_flood(now, length_ms):
            return "flood"
        elapsed_ms = (now - self._started_at) * 1000
        # A pause in the stream is no credit for a burst later.
        self._taken_ms = max(self._taken_ms, elapsed_ms - MAX_AHEAD_MS)
        if self._taken_ms > elapsed_ms + MAX_AHEAD_MS:
            return "drop"
        self._taken_ms += length_ms
        return "keep"

    def _is_flood(self, now: float, length_ms: float) -> bool:
        """Count the whole seconds in a row in which too much came."""
        seconds = int(now - self._window_at)
        if seconds >= 1:
            fast = seconds == 1 and self._window_ms > FLOOD_RATE * 1000
            self._fast_seconds = self._fast_seconds + 1 if fast else 0
            self._window_at += seconds
            self._window_ms = 0.0
        self._window_ms += length_ms
        return self._fast_seconds >= FLOOD_SECONDS


class MessagePace:
    """Judges how many messages come, whatever is in them.

    Args:
        started_at: Loop time at which the first could come.
    """

    def __init__(self, started_at: float) -> None:
        self._window_at = started_at
        self._read = 0
        self._full_windows = 0
        self._doings = Allowance(DOINGS_PER_SECOND, DOINGS_AT_ONCE)
        self._texts = Allowance(TEXTS_PER_SECOND, TEXTS_AT_ONCE)

    def wait_seconds(self, now: float) -> float:
        """Count a message that was read at loop time ``now``.

        Returns:
            How long not to read on.
        """
        if now >= self._window_at + MESSAGES_SECONDS:
            # A loop that is late reads late: that is no pause of the peer's.
            was_full = self._read >= MAX_MESSAGES and now < self._window_at + PAUSE_SECONDS
            self._full_windows = self._full_windows + 1 if was_full else 0
            self._window_at, self._read = now, 0
        self._read += 1
        if self._read < MAX_MESSAGES:
            return 0.0
        return max(0.0, self._window_at + MESSAGES_SECONDS - now)

    @property
    def is_flood(self) -> bool:
        """Whether as many came as are read at all, for so long that it is no call any more."""
        return self._full_windows * MESSAGES_SECONDS >= FLOOD_SECONDS

    def judge(self, now: float, message: Message) -> Verdict:
        """Whether to act on a message; one that tells what has happened is always acted upon."""
        if isinstance(message, TextInput):
            return "keep" if self._texts.take(now) else "drop"
        if isinstance(message, Control) and message.action == "end":
            return "keep"
        if isinstance(message, (Control, Dtmf, LanguageChoice, Ping)):
            return "keep" if self._doings.take(now) else "drop"
        return "keep"
