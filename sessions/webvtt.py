"""A transcript as WebVTT (W3C), to be shown while its recording is played."""

from sessions.transcript import Transcript, Utterance

#: A cue that ends when it begins would not be shown.
_LEAST_MS = 500.0
_SPEAKERS = {"user": "Caller", "assistant": "Agent"}


def as_vtt(transcript: Transcript) -> str:
    """One cue per utterance; who spoke is its voice, an interruption a mark at its end."""
    cues = [_cue(number, line) for number, line in enumerate(transcript.utterances, 1)]
    return "\n".join(["WEBVTT\n", *cues])


def _cue(number: int, line: Utterance) -> str:
    end_ms = max(line.ended_ms, line.started_ms + _LEAST_MS)
    text = _escaped(line.text)
    if line.language:
        # A language tag is letters, digits and hyphens; anything else must not become markup.
        text = f"<lang {_escaped(line.language)}>{text}</lang>"
    cut = " —" if line.interrupted else ""
    times = f"{_time(line.started_ms)} --> {_time(end_ms)}"
    return f"{number}\n{times}\n<v {_SPEAKERS[line.role]}>{text}{cut}\n"


def _time(ms: float) -> str:
    seconds, millis = divmod(max(0, round(ms)), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{millis:03}"


def _escaped(text: str) -> str:
    """One line, without markup; an escaped ``>`` leaves no ``-->`` that would begin a cue."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
