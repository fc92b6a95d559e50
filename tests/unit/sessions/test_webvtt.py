"""A transcript beside its recording."""

from sessions.transcript import make_transcript
from sessions.webvtt import as_vtt
from tests.unit.sessions.journals import STARTED_AT
from tests.unit.sessions.test_transcript import agent, caller, key


def test_cues_say_who_and_when_and_what_was_cut_off() -> None:
    events = [agent("नमस्ते जी, बताइए", "नमस्ते जी,", 0.0), caller("रुकिए", 3_725_250.0)]
    assert as_vtt(make_transcript("id", STARTED_AT, events)) == (
        "WEBVTT\n\n"
        "1\n00:00:00.000 --> 00:00:00.900\n<v Agent><lang hi>नमस्ते जी,</lang> —\n\n"
        "2\n01:02:05.250 --> 01:02:05.750\n<v Caller><lang hi>रुकिए</lang>\n"
    )


def test_what_is_said_makes_no_cue_and_no_markup() -> None:
    said = "a\n\n00:00:00.000 --> 00:00:09.000\n<b>forged</b> & so on"
    text = as_vtt(make_transcript("id", STARTED_AT, [caller(said, 0.0)]))
    assert text.count("-->") == 1
    assert "&lt;b&gt;forged&lt;/b&gt; &amp; so on" in text


def test_a_key_is_shown_long_enough_to_be_read() -> None:
    text = as_vtt(make_transcript("id", STARTED_AT, [key("5", 1000.0)]))
    assert "00:00:01.000 --> 00:00:01.500\n<v Caller>5\n" in text
    assert as_vtt(make_transcript("id", STARTED_AT, [])) == "WEBVTT\n"
