"""Kenpath's advisers."""

import json
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulators.behaviour import Behaviour
from simulators.kenpath import KenpathSimulator, Question

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
QUERY = {"query": "कापूस भाव", "source_lang": "mr", "target_lang": "mr", "session_id": "call-1"}
BHILI = {**QUERY, "source_lang": "bhb", "target_lang": "bhb"}


def token(*, key: Any = KEY, algorithm: str = "RS256", **changes: Any) -> str:
    """A token as Kenpath wants it, but for the changes."""
    now = int(time.time())
    claims = {"sub": "910000000000", "iss": "voice-provider", "iat": now, "exp": now + 3600}
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm)


async def ask(
    http: aiohttp.ClientSession,
    simulator: KenpathSimulator,
    headers: Mapping[str, str],
    query: Mapping[str, str] = QUERY,
    *,
    path: str = "/api/voice/",
) -> tuple[int, str]:
    """Status and body."""
    url = f"{simulator.base_url}{path}"
    async with http.get(url, params=query, headers=headers) as response:
        return response.status, (await response.read()).decode()


async def test_an_answer_comes_in_chunks_of_plain_text(http: aiohttp.ClientSession) -> None:
    odd = Behaviour(odd_frames=True)
    async with KenpathSimulator(answers=["आजचा कापूस भाव"], public_key=PUBLIC) as simulator:
        headers = {"Authorization": f"Bearer {token()}"}
        simulator.behave(odd)
        url = f"{simulator.base_url}/api/voice/"
        async with http.get(url, params=QUERY, headers=headers) as response:
            chunks = [data async for data, _ in response.content.iter_chunks()]
        assert b"".join(chunks).decode() == "आजचा कापूस भाव"
        assert response.headers["Transfer-Encoding"] == "chunked"
        with pytest.raises(UnicodeDecodeError):
            chunks[0].decode()
        question = Question(0, "कापूस भाव", "mr", "call-1", "910000000000")
        assert simulator.questions == [question]
        assert simulator.violations == []


async def test_answers_come_by_pattern_or_function(http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    async with KenpathSimulator(answers={"कापूस": "सात हजार"}) as simulator:
        assert await ask(http, simulator, headers) == (200, "सात हजार")
        assert await ask(http, simulator, headers, {**QUERY, "query": "ऊस"}) == (200, "")
        simulator.answers = lambda question: question.session_id
        assert await ask(http, simulator, headers) == (200, "call-1")


OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PAST = int(time.time()) - 7200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic abc",
        "Bearer ",
        "Bearer no.token.atall",
        f"Bearer {token(key=OTHER)}",
        f"Bearer {token(iss='someone-else')}",
        f"Bearer {token(iat=PAST, exp=PAST + 3600)}",
        f"Bearer {token(sub=None)}",
        f"Bearer {token(exp=None)}",
        f"Bearer {token(key='x' * 64, algorithm='HS256')}",
        f"Bearer {token(key=None, algorithm='none')}",
    ],
)
async def test_a_wrong_token_is_refused_with_401(http: aiohttp.ClientSession, header: str) -> None:
    async with KenpathSimulator(public_key=PUBLIC) as simulator:
        status, body = await ask(http, simulator, {"Authorization": header} if header else {})
        assert (status, json.loads(body)) == (401, {"detail": "Not authenticated"})
        assert len(simulator.violations) == 1
        assert simulator.questions == []


async def test_without_a_key_everything_but_the_signature_is_looked_at(
    http: aiohttp.ClientSession,
) -> None:
    async with KenpathSimulator() as simulator:
        good = {"Authorization": f"Bearer {token(key=OTHER)}"}
        late = {"Authorization": f"Bearer {token(key=OTHER, iat=PAST, exp=PAST + 3600)}"}
        assert (await ask(http, simulator, good))[0] == 200
        assert (await ask(http, simulator, late))[0] == 401


@pytest.mark.parametrize(
    "query",
    [
        {name: value for name, value in QUERY.items() if name != "session_id"},
        {**QUERY, "query": " "},
        {**QUERY, "source_lang": "en", "target_lang": "en"},
        {**QUERY, "target_lang": "hi"},
        BHILI,
    ],
)
async def test_a_wrong_question_is_refused_with_422(
    http: aiohttp.ClientSession, query: dict[str, str]
) -> None:
    async with KenpathSimulator() as simulator:
        headers = {"Authorization": f"Bearer {token()}"}
        assert (await ask(http, simulator, headers, query))[0] == 422
        assert len(simulator.violations) == 1


async def test_what_a_correct_client_never_sends_is_noticed(http: aiohttp.ClientSession) -> None:
    async with KenpathSimulator() as simulator:
        day = {"Authorization": f"Bearer {token(exp=int(time.time()) + 86_400)}"}
        assert (await ask(http, simulator, day, {**QUERY, "history": "[]"}))[0] == 200
        assert len(simulator.violations) == 2


async def test_bhili_answers_in_json_and_asks_for_a_token_in_production_only(
    http: aiohttp.ClientSession,
) -> None:
    path, accept = "/api/voice-bhili", {"Accept": "application/json"}
    async with KenpathSimulator(answers=["राम राम"]) as simulator:
        status, body = await ask(http, simulator, accept, BHILI, path=path)
        assert (status, json.loads(body)) == (200, {"response": "राम राम"})
        assert (await ask(http, simulator, accept, QUERY, path=path))[0] == 422
        simulator.bhili_needs_token = True
        assert (await ask(http, simulator, accept, BHILI, path=path))[0] == 401


async def test_it_may_refuse_fail_be_empty_break_off_or_stall(http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    script = [
        Behaviour(refuse_status=401),
        Behaviour(error_after_bytes=0),
        Behaviour(empty=True),
        Behaviour(drop_after_bytes=10),
        Behaviour(stall_after_bytes=5),
    ]
    async with KenpathSimulator(script=script) as simulator:
        assert (await ask(http, simulator, headers))[0] == 401
        assert (await ask(http, simulator, headers))[0] == 500
        assert await ask(http, simulator, headers) == (200, "")
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(http, simulator, headers)
        url = f"{simulator.base_url}/api/voice/"
        async with http.get(url, params=QUERY, headers=headers) as response:
            assert (await response.content.readany()).decode() == "आज "
            await simulator.until(lambda: simulator.connections[-1].silent)
        await simulator.until(simulator.connections[-1].ended.is_set)
        assert simulator.connections[-1].abandoned
