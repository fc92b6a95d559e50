"""What the benchmark starts: an agent file that loads, scripts that the vendors take."""

from pathlib import Path

import pytest

from bench.scenario import CALLER_SAYS, agent, simulator_script, write_agent
from bench.systems import SYSTEMS
from config.report import checked_file
from config.settings import load_settings
from services.registry import catalog
from simulators.__main__ import build
from simulators.caller.codec import MULAW_8K
from simulators.caller.phrase import prepare_phrase
from simulators.speech import Speech, Voice

_VENDORS = {
    "DEEPGRAM_BASE_URL": "http://127.0.0.1:1",
    "OPENAI_BASE_URL": "http://127.0.0.1:2/v1",
    "CARTESIA_BASE_URL": "http://127.0.0.1:3",
}


def test_the_agents_file_is_one_that_the_server_serves(tmp_path: Path) -> None:
    launch = SYSTEMS["ours"][1](7000, _VENDORS, tmp_path)
    settings = load_settings(env=dict(launch.environment))
    (file,) = settings.agents_dir.glob("*.json")
    assert file.stem == settings.default_agent
    assert launch.path.endswith(f"/{file.stem}")
    checked_file(file, catalog, settings, installation=True)


def test_recording_is_not_left_out() -> None:
    assert "recording" not in agent()


@pytest.mark.parametrize("vendor", ["deepgram", "openai", "cartesia"])
def test_the_vendors_take_their_script(vendor: str) -> None:
    assert build(vendor, simulator_script()[vendor], 0).vendor == vendor


def test_the_callers_sentences_have_no_pause_within() -> None:
    assert not [each for each in CALLER_SAYS if set(each) & set(",.;:?!")]


async def test_the_callers_sentences_are_audible_to_their_last_packet() -> None:
    for text in CALLER_SAYS:
        pcm = await Speech().say(text, voice=Voice(), rate_hz=8000)
        assert MULAW_8K.audible(prepare_phrase(pcm, MULAW_8K, text).packets[-1][0]), text


def test_keys_are_made_anew_for_each_run(tmp_path: Path) -> None:
    first, second = (SYSTEMS["ours"][1](7000, _VENDORS, tmp_path) for _ in range(2))
    assert first.environment["OPENAI_API_KEY"] != second.environment["OPENAI_API_KEY"]


def test_nothing_of_this_process_reaches_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    monkeypatch.setenv("STORAGE_KIND", "minio")
    for _name, prepare in SYSTEMS.values():
        launch = prepare(7000, _VENDORS, tmp_path)
        assert "somebody's" not in launch.environment.values()
        assert launch.environment.get("STORAGE_KIND") != "minio"


def test_the_plain_bot_is_pointed_at_the_same_vendors(tmp_path: Path) -> None:
    arguments = SYSTEMS["plain"][1](7000, _VENDORS, tmp_path).arguments
    assert set(_VENDORS.values()) <= set(arguments)


def test_only_the_echo_does_not_speak_first(tmp_path: Path) -> None:
    speaks = {key: prepare(1, _VENDORS, tmp_path).speaks_first
              for key, (_, prepare) in SYSTEMS.items()}  # fmt: skip
    assert speaks == {"ours": True, "plain": True, "echo": False}


def test_the_agents_file_is_written(tmp_path: Path) -> None:
    write_agent(tmp_path / "agents", "a")
    write_agent(tmp_path / "agents", "b")
    assert {file.name for file in (tmp_path / "agents").iterdir()} == {"a.json", "b.json"}
