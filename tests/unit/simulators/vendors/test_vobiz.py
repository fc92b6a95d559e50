"""The simulated Vobiz: strict about paths, account and body, and slow to have a file."""

import aiohttp
import pytest

from simulators.vobiz import VobizApiSimulator

RECORD = "/Account/MA_EXAMPLE/Call/c1/Record/"


def keys(token: str, account: str = "MA_EXAMPLE") -> dict[str, str]:
    return {"X-Auth-ID": account, "X-Auth-Token": token}


async def test_a_file_is_there_some_looks_after_the_recording_has_ended(
    http: aiohttp.ClientSession, key: str
) -> None:
    async with VobizApiSimulator(api_key=key, looks=2) as vobiz:
        base, mine = vobiz.base_url, keys(key)
        async with http.post(base + RECORD, headers=mine, json={"time_limit": 90}) as response:
            assert response.status == 202
            begun = await response.json()
        look = f"{base}/Account/MA_EXAMPLE/Recording/{begun['recording_id']}/"
        statuses = []
        for _ in range(2):
            async with http.get(look, headers=mine) as response:
                statuses.append(response.status)
        async with http.delete(base + RECORD, headers=mine) as response:
            statuses.append(response.status)
        for _ in range(3):
            async with http.get(look, headers=mine) as response:
                statuses.append(response.status)
                found = await response.json()
        assert statuses == [404, 404, 204, 404, 404, 200]
        assert found["recording_url"] == begun["url"]
        async with http.get(begun["url"], headers=mine) as response:
            assert await response.read() == vobiz.sound
        assert vobiz.violations == []
        async with http.get(begun["url"]) as response:
            assert response.status == 401
        assert len(vobiz.violations) == 1


@pytest.mark.parametrize(
    ("path", "account", "token", "body", "status"),
    [
        (RECORD, "MA_EXAMPLE", "wrong", {}, 401),
        (RECORD, "MA_OTHER", "", {}, 401),
        (RECORD.replace("MA_EXAMPLE", "MA_OTHER"), "MA_EXAMPLE", "", {}, 401),
        (RECORD.lower(), "MA_EXAMPLE", "", {}, 401),
        (RECORD.rstrip("/"), "MA_EXAMPLE", "", {}, 404),
        (RECORD, "MA_EXAMPLE", "", {"format": "mp3"}, 400),
        (RECORD, "MA_EXAMPLE", "", {"time_limit": "60"}, 400),
        (RECORD, "MA_EXAMPLE", "", {"file_format": "ogg"}, 400),
        (RECORD, "MA_EXAMPLE", "", {"record_channel_type": "both"}, 400),
        (RECORD, "MA_EXAMPLE", "", [], 400),
    ],
)
async def test_what_is_not_documented_is_refused_and_noted(
    http: aiohttp.ClientSession,
    key: str,
    path: str,
    account: str,
    token: str,
    body: object,
    status: int,
) -> None:
    async with VobizApiSimulator(api_key=key) as vobiz:
        headers = keys(token or key, account)
        async with http.post(vobiz.base_url + path, headers=headers, json=body) as response:
            assert response.status == status
        assert len(vobiz.violations) == 1 and vobiz.recordings == []
