"""Voices and options are checked without loading the library."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from config.languages import LANGUAGES
from config.providers import ProviderCatalog
from services.espeak import SPECS, VOICES, EspeakTTSOptions
from services.espeak.voices import variants, voice_file, voices


def test_every_language_has_a_voice_in_the_wheel() -> None:
    assert all(voice_file(voice) for voice in VOICES.values())
    assert set(VOICES) <= set(LANGUAGES)


def test_no_indian_voice_of_the_wheel_is_left_out() -> None:
    spoken = {voice.code for voice in voices()} & {language.split("-")[0] for language in LANGUAGES}
    assert spoken <= set(VOICES)


@pytest.mark.parametrize(
    ("voice", "file"),
    [("hi", "hi"), ("en-gb", "en"), ("EN-US", "en-US"), ("en-us+f3", "en-US+f3")],
)
def test_a_voice_is_found_by_code_or_file(voice: str, file: str) -> None:
    assert voice_file(voice) == file


@pytest.mark.parametrize("voice", ["", "../hi", "hi/../en", "tlh", "hi+", "hi+../f1", "hi+f99"])
def test_what_is_no_voice_is_refused(voice: str) -> None:
    with pytest.raises(ValueError, match="espeak has no"):
        voice_file(voice)


def test_an_unknown_voice_in_an_agent_file_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean 'en-gb'"):
        EspeakTTSOptions(voice="en-gbb")


@pytest.mark.parametrize(
    "options",
    [{"rate_wpm": 79}, {"rate_wpm": 451}, {"pitch": 100}, {"pitch": -1}, {"volume": 201}, {"x": 1}],
)
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        EspeakTTSOptions.model_validate(options)


def test_the_registration_is_keyless_and_speaks_at_the_wires_rates() -> None:
    spec = ProviderCatalog(SPECS).find("tts", "espeak")
    assert spec is not None
    assert spec.options.secret_field is None and spec.secret_env is None
    assert [wire.rate_hz for wire in spec.wire_formats] == [8000, 16000, 24000]
    assert spec.supports("hi") and not spec.supports("sat")


def test_variants_are_those_of_the_wheel() -> None:
    assert {"f1", "f5", "m1", "m8", "whisper"} <= variants()


def test_registering_loads_neither_pipecat_nor_the_library() -> None:
    code = (
        "import sys, services.espeak as e; e.EspeakTTSOptions(voice='hi+f2');"
        "print([m for m in ('pipecat', 'numpy', 'soxr', 'espeakng_loader') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert printed.strip() == "[]"
