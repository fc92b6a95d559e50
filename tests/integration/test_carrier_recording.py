"""A telephone call that Vobiz records too, as its agent's file wants it."""

from pathlib import Path
from typing import Any

import pytest

from sessions import carrier_recordings
from sessions.carrier_files import CarrierOptions
from simulators.speech import Speech
from simulators.vobiz import VobizApiSimulator
from tests.integration.server import BRISK_AGENT, running_server

BRISK = CarrierOptions(first_pause_seconds=0.05, longest_pause_seconds=0.2)


@pytest.mark.parametrize("wanted", [True, False])
async def test_vobiz_records_the_call_too(
    tmp_path: Path, speech: Speech, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier_recordings, "CarrierOptions", lambda: BRISK)
    agent: dict[str, Any] = {**BRISK_AGENT, "recording": {"carrier": wanted}}
    async with VobizApiSimulator(api_key="t") as vobiz:
        env = {
            "DEFAULT_AGENT": "brisk",
            "VOBIZ_AUTH_ID": vobiz.auth_id,
            "VOBIZ_AUTH_TOKEN": "t",
            "VOBIZ_API_BASE": vobiz.base_url,
        }
        async with running_server(tmp_path, {"brisk": agent}, env) as server:
            async with server.phone(speech) as caller:
                await caller.listen_until_quiet(300, 10_000)
            await server.parts.manager.settled()
            await server.until(lambda: server.parts.carrier.stats().waiting == 0)
            record = await server.one_record()
            assert record["recording"]["state"] == "stored"
            if not wanted:
                assert record["carrier_recording"] is None and vobiz.requests == []
                return
            told = record["carrier_recording"]
            assert told["state"] == "stored"
            assert server.stored(told["file"]) == vobiz.sound
            ours, theirs = record["recording"]["file"]["key"], told["file"]["key"]
            assert theirs == ours.replace(".wav", ".carrier.mp3")
            (recording,) = vobiz.recordings
            assert (recording.call_id, recording.ended) == (caller.call_id, True)
        assert vobiz.violations == []
