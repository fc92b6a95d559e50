"""Kenpath's advisers against the simulator, in a real pipeline, with keys made here."""

import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pipecat.frames.frames import (
    ErrorFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pydantic import SecretStr, ValidationError

from config.errors import ConfigError, ProviderError
from services.kenpath import DEV_ADDRESS, PROD_ADDRESS, BhiliLLMOptions, VistaarLLMOptions
from services.kenpath.answers import MAX_QUERY_CHARACTERS, bhili_address, vistaar_address
from services.kenpath.llm import (
    KenpathLLMService,
    build_bhili,
    build_vistaar,
    prepare_vistaar,
    unanswered,
)
from services.kenpath.tokens import LIFETIME_SECONDS, TokenSource, token_source
from simulators.behaviour import Behaviour
from simulators.kenpath import KenpathSimulator
from tests.unit.services.calls import Line, context, on_the_line
from tests.unit.services.kenpath.keys import write_key

PHONE = "910000000000"
Response = (LLMFullResponseStartFrame, LLMFullResponseEndFrame)
ANSWER = "आजचा कापूस भाव सात हजार रुपये आहे."


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return write_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def no_tokens_left() -> None:
    token_source.cache_clear()


def vistaar(
    http: aiohttp.ClientSession,
    base_url: str,
    keys: tuple[Path, str],
    language: str = "mr",
    **given: object,
) -> KenpathLLMService:
    options = VistaarLLMOptions.model_validate({"jwt_phone": PHONE, **given})
    return build_vistaar(options, context(http, base_url, language, key=str(keys[0])))


def asked(*messages: tuple[str, str]) -> LLMContextFrame:
    return LLMContextFrame(
        LLMContext(messages=[{"role": role, "content": text} for role, text in messages])  # type: ignore[misc]
    )


async def ask(line: Line, text: str = "कापूस भाव") -> str:
    ended, spoken = len(line.of(LLMFullResponseEndFrame)), len(line.of(LLMTextFrame))
    await line.send(asked(("system", "ignored"), ("user", text)))
    await line.first(LLMFullResponseEndFrame, ended + 1)
    return "".join(frame.text for frame in line.of(LLMTextFrame)[spoken:])


async def test_an_answer_is_streamed_to_a_caller_with_a_token(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    async with KenpathSimulator(answers=[ANSWER], public_key=keys[1]) as simulator:
        async with on_the_line(vistaar(http, simulator.base_url, keys)) as line:
            assert await ask(line) == ANSWER
            assert await ask(line, "आणि उद्या?") == ANSWER
        first, second = simulator.questions
        assert (first.text, first.language, first.subject) == ("कापूस भाव", "mr", PHONE)
        assert second.text == "आणि उद्या?"
        assert first.session_id == second.session_id
        assert simulator.violations == []
        assert line.errors == []
        kinds = [type(f) for f in line.frames if isinstance(f, (Response, LLMTextFrame))]
        assert (kinds[0], kinds[-1]) == (LLMFullResponseStartFrame, LLMFullResponseEndFrame)


async def test_words_come_as_they_are_said_and_not_at_the_end(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    stops = Behaviour(stall_after_bytes=1)
    async with KenpathSimulator(answers=[ANSWER], behaviour=stops) as simulator:
        llm = vistaar(http, simulator.base_url, keys, stall_timeout_seconds=60)
        async with on_the_line(llm, cancel=True) as line:
            await line.send(asked(("user", "भाव")))
            assert (await line.first(LLMTextFrame)).text == "आजचा "
            assert line.of(LLMFullResponseEndFrame) == []
        await simulator.until(simulator.connections[0].ended.is_set)


async def test_letters_may_be_cut_anywhere(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    odd = Behaviour(odd_frames=True)
    async with KenpathSimulator(answers=[ANSWER], behaviour=odd) as simulator:
        async with on_the_line(vistaar(http, simulator.base_url, keys)) as line:
            assert await ask(line) == ANSWER
        assert line.errors == []


async def test_an_interruption_ends_the_request(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    async with KenpathSimulator(answers=[ANSWER] * 2, words_per_second=4) as simulator:
        async with on_the_line(vistaar(http, simulator.base_url, keys)) as line:
            await line.send(asked(("user", "भाव")))
            await line.first(LLMTextFrame)
            await line.send(InterruptionFrame())
            await simulator.until(simulator.connections[0].ended.is_set)
            assert simulator.connections[0].abandoned
            assert len(line.of(LLMTextFrame)) < len(ANSWER.split())
            simulator.words_per_second = None
            assert await ask(line) == ANSWER
        assert line.errors == []


async def test_an_interruption_before_the_first_word_ends_the_request_too(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    slow = Behaviour(stall_after_ms=0)
    async with KenpathSimulator(answers=[ANSWER], script=[slow]) as simulator:
        async with on_the_line(vistaar(http, simulator.base_url, keys)) as line:
            await line.send(asked(("user", "भाव")))
            await simulator.until(lambda: len(simulator.questions) == 1)
            await line.send(InterruptionFrame())
            await simulator.until(simulator.connections[0].ended.is_set)
            assert await ask(line) == ANSWER
        assert line.errors == []


@pytest.mark.parametrize(
    ("behaviour", "code", "requests", "begins"),
    [
        (Behaviour(refuse_status=500), "llm_failed", 1, False),
        (Behaviour(refuse_status=429), "llm_busy", 1, False),
        (Behaviour(refuse_status=401), "llm_auth", 1, False),
        (Behaviour(refuse_status=404), "llm_refused", 1, False),
        (Behaviour(refuse_status=302), "llm_refused", 1, False),
        (Behaviour(empty=True), "llm_empty", 1, False),
        (Behaviour(garbage_frames=1), "llm_garbage", 1, False),
        (Behaviour(drop_after_ms=0), "llm_dropped", 2, False),
        (Behaviour(stall_after_ms=0), "llm_timeout", 1, False),
        (Behaviour(stall_after_bytes=20), "llm_timeout", 1, True),
        (Behaviour(drop_after_bytes=20), "llm_dropped", 1, True),
    ],
)
async def test_a_failure_is_reported_the_answer_ends_and_the_next_one_comes(
    http: aiohttp.ClientSession,
    keys: tuple[Path, str],
    behaviour: Behaviour,
    code: str,
    requests: int,
    begins: bool,
) -> None:
    async with KenpathSimulator(answers=[ANSWER], behaviour=behaviour) as simulator:
        # Short where it is waited for; elsewhere a machine that stands still must not end it.
        limits: dict[str, Any] = {"first_text_timeout_seconds": 3.0, "stall_timeout_seconds": 1.0}
        llm = vistaar(http, simulator.base_url, keys, **(limits if code == "llm_timeout" else {}))
        async with on_the_line(llm) as line:
            said = await ask(line)
            assert (said != "", ANSWER.startswith(said)) == (begins, True)
            assert len(simulator.connections) == requests
            simulator.behave(Behaviour())
            assert await ask(line) == ANSWER
        assert line.errors == [code]
        failed = line.of(ErrorFrame)[0].exception
        assert isinstance(failed, ProviderError)
        assert (failed.provider, failed.stage) == ("kenpath", "llm")
        assert llm.is_usable


@pytest.mark.parametrize("behaviour", [Behaviour(refuse_status=503), Behaviour(empty=True)])
async def test_it_does_not_ask_again_by_itself(
    http: aiohttp.ClientSession, keys: tuple[Path, str], behaviour: Behaviour
) -> None:
    async with (
        KenpathSimulator(answers=[ANSWER], script=[behaviour]) as simulator,
        on_the_line(vistaar(http, simulator.base_url, keys)) as line,
    ):
        assert await ask(line) == ""
        assert len(line.errors) == 1
        assert len(simulator.connections) == 1, "whoever holds it decides that"
        assert await ask(line) == ANSWER


async def test_the_whole_has_a_limit(http: aiohttp.ClientSession, keys: tuple[Path, str]) -> None:
    endless = " ".join(["शब्द"] * 200)
    async with KenpathSimulator(answers=[endless], words_per_second=20) as simulator:
        llm = vistaar(http, simulator.base_url, keys, total_timeout_seconds=3)
        # As when an agent is loaded; on a busy machine signing takes its time.
        await token_source(str(keys[0]), PHONE).token()
        async with on_the_line(llm) as line:
            assert len((await ask(line)).split()) < 100
        assert line.errors == ["llm_timeout"]
        await simulator.until(simulator.connections[0].ended.is_set)
        assert simulator.connections[0].abandoned


async def test_a_redirect_is_not_followed(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    """The operator says where a caller's words and the token go, and nobody else."""
    async with KenpathSimulator() as elsewhere:

        async def redirect(_request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{elsewhere.base_url}/api/voice/")

        app = web.Application()
        app.router.add_get("/api/voice/", redirect)
        async with TestServer(app) as server:
            address = f"http://{server.host}:{server.port}"
            async with on_the_line(vistaar(http, address, keys)) as line:
                assert await ask(line) == ""
        assert line.errors == ["llm_refused"]
        assert elsewhere.requests == []


async def test_a_long_question_is_cut_to_what_an_address_holds(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    async with KenpathSimulator() as simulator:
        async with on_the_line(vistaar(http, simulator.base_url, keys)) as line:
            assert await ask(line, "क" * 5_000 + "अंत")
        assert len(simulator.questions[0].text) == MAX_QUERY_CHARACTERS
        assert simulator.questions[0].text.endswith("कअंत")


async def test_without_a_question_nothing_is_asked(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    async with KenpathSimulator() as simulator:
        async with on_the_line(vistaar(http, simulator.base_url, keys)) as line:
            await line.send(asked(("system", "नमस्ते कहो"), ("assistant", "नमस्ते")))
            assert await ask(line)
        assert len(simulator.questions) == 1


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        ([], ""),
        ([("user", "एक"), ("assistant", "दो"), ("user", " तीन ")], "तीन"),
        ([("user", "एक"), ("assistant", "दो"), ("user", "तीन"), ("user", "चार")], "तीन चार"),
        ([("user", "एक"), ("developer", "x")], "एक"),
        ([("user", "एक"), ("assistant", "दो")], ""),
    ],
)
def test_what_is_asked(messages: list[tuple[str, str]], question: str) -> None:
    assert unanswered(asked(*messages).context) == question


# -- tokens --------------------------------------------------------------------------------


async def test_a_server_that_is_away(
    http: aiohttp.ClientSession, keys: tuple[Path, str], closed_port: int
) -> None:
    address = KenpathSimulator(port=closed_port).base_url
    async with on_the_line(vistaar(http, address, keys)) as line:
        assert await ask(line) == ""
    assert line.errors == ["llm_unreachable"]


async def test_a_token_says_what_kenpath_asks_for_and_is_used_again(
    keys: tuple[Path, str],
) -> None:
    source = TokenSource(str(keys[0]), PHONE)
    token = await source.token()
    claims = jwt.decode(token, keys[1], algorithms=["RS256"], issuer="voice-provider")
    assert set(claims) == {"sub", "iss", "iat", "exp"}
    assert claims["sub"] == PHONE
    assert claims["exp"] - claims["iat"] == LIFETIME_SECONDS
    assert await source.token() == token


async def test_a_token_is_renewed_before_its_end(
    keys: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = TokenSource(str(keys[0]), PHONE)
    first = await source.token()
    later = time.time() + LIFETIME_SECONDS - 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert await source.token() != first


async def test_a_key_that_the_server_does_not_know_is_told_as_such_and_a_new_one_is_read(
    http: aiohttp.ClientSession, keys: tuple[Path, str], tmp_path: Path
) -> None:
    other, _ = write_key(tmp_path)
    async with KenpathSimulator(answers=[ANSWER], public_key=keys[1]) as simulator:
        llm = vistaar(http, simulator.base_url, (other, ""))
        async with on_the_line(llm) as line:
            assert await ask(line) == ""
            other.write_bytes(keys[0].read_bytes())
            assert await ask(line) == ANSWER
        assert line.errors == ["llm_auth"]
        assert "Signature verification failed" in simulator.violations[0]


def elliptic() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "cannot be read"), (b"nothing", "no private key"), (elliptic(), "must be RSA")],
)
async def test_a_file_that_holds_no_key_is_told_at_load_and_ends_no_call(
    http: aiohttp.ClientSession, tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "a-path-that-nobody-should-read.pem"
    if content is not None:
        file.write_bytes(content)
    async with KenpathSimulator() as simulator:
        with pytest.raises(ConfigError, match=told) as refused:
            await prepare_vistaar(
                VistaarLLMOptions(jwt_phone=PHONE),
                context(http, simulator.base_url, "hi", key=str(file)),
            )
        assert file.name not in refused.value.message
        async with on_the_line(vistaar(http, simulator.base_url, (file, ""))) as line:
            assert await ask(line) == ""
        assert line.errors == ["llm_auth"]
        assert simulator.requests == []


async def test_a_key_is_ready_before_the_first_call(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    options = VistaarLLMOptions(jwt_phone=PHONE)
    ready = context(http, "http://127.0.0.1:9", "hi", key=str(keys[0]))
    await prepare_vistaar(options, ready)
    assert token_source(str(keys[0]), PHONE)._token  # made once, at load


async def test_without_a_key_there_is_no_adviser(http: aiohttp.ClientSession) -> None:
    with pytest.raises(ConfigError, match="KENPATH_JWT_PRIVATE_KEY_PATH"):
        build_vistaar(VistaarLLMOptions(jwt_phone=PHONE), context(http, PROD_ADDRESS, "hi"))


# -- Bhili ---------------------------------------------------------------------------------


def bhili(http: aiohttp.ClientSession, base_url: str, **given: object) -> KenpathLLMService:
    options = BhiliLLMOptions.model_validate({"first_text_timeout_seconds": 3.0, **given})
    secret = options.jwt_private_key_path
    key = secret.get_secret_value() if secret else None
    return build_bhili(options, context(http, base_url, "bhb", key=key))


async def test_bhili_is_answered_in_one_piece_without_a_token(http: aiohttp.ClientSession) -> None:
    async with KenpathSimulator(answers=["राम राम"]) as simulator:
        async with on_the_line(bhili(http, simulator.base_url)) as line:
            assert await ask(line) == "राम राम"
        assert simulator.requests[0].path == "/api/voice-bhili"
        assert "Authorization" not in simulator.requests[0].headers
        assert simulator.questions[0].language == "bhb"
        assert simulator.violations == []


async def test_bhili_in_production_gets_a_token(
    http: aiohttp.ClientSession, keys: tuple[Path, str]
) -> None:
    async with KenpathSimulator(bhili_needs_token=True, public_key=keys[1]) as simulator:
        llm = bhili(
            http, simulator.base_url, jwt_phone=PHONE, jwt_private_key_path=SecretStr(str(keys[0]))
        )
        async with on_the_line(llm) as line:
            assert await ask(line)
        assert simulator.questions[0].subject == PHONE


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (Behaviour(garbage_frames=1), "llm_garbage"),
        (Behaviour(empty=True), "llm_empty"),
        (Behaviour(stall_after_ms=0), "llm_timeout"),
        (Behaviour(refuse_status=500), "llm_failed"),
    ],
)
async def test_bhili_fails_as_the_other_does(
    http: aiohttp.ClientSession, behaviour: Behaviour, code: str
) -> None:
    async with KenpathSimulator(behaviour=behaviour) as simulator:
        async with on_the_line(bhili(http, simulator.base_url)) as line:
            assert await ask(line) == ""
        assert line.errors == [code]


# -- options and addresses -----------------------------------------------------------------


def test_a_key_in_the_place_of_its_path_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError, match="give the file's path") as refused:
        # In two parts: no key, and nothing that a search for keys should stop at.
        pasted = "-----BEGIN " + "PRIVATE KEY-----\nabc"
        VistaarLLMOptions.model_validate({"jwt_phone": PHONE, "jwt_private_key_path": pasted})
    assert "abc" not in str(refused.value)


def test_a_number_may_be_written_as_one() -> None:
    options = VistaarLLMOptions.model_validate({"jwt_subject": 910000000000})
    assert options.jwt_phone == PHONE


@pytest.mark.parametrize(
    ("environment", "base_url", "url"),
    [
        ("prod", PROD_ADDRESS, f"{PROD_ADDRESS}/api/voice/"),
        ("dev", PROD_ADDRESS, f"{DEV_ADDRESS}/api/voice/"),
        ("dev", "http://127.0.0.1:9", "http://127.0.0.1:9/api/voice/"),
    ],
)
async def test_where_vistaar_is(
    http: aiohttp.ClientSession,
    keys: tuple[Path, str],
    environment: str,
    base_url: str,
    url: str,
) -> None:
    llm = vistaar(http, base_url, keys, vistaar_environment=environment)
    assert llm._adviser.url == url


@pytest.mark.parametrize("written", ["http://h:1", "http://h:1/", "http://h:1/api/voice/"])
def test_addresses_as_people_write_them(written: str) -> None:
    assert vistaar_address(written) == "http://h:1/api/voice/"
    bhili_door = bhili_address(written.replace("/api/voice/", "/api/voice-bhili"))
    assert bhili_door == "http://h:1/api/voice-bhili"


@pytest.mark.parametrize("written", ["", None, "localhost:8002", "ftp://h"])
def test_addresses_that_are_none(written: str | None) -> None:
    with pytest.raises(ConfigError, match=r"llm\.kenpath\.base_url"):
        vistaar_address(written)
    with pytest.raises(ConfigError, match=r"llm\.kenpath_bhili\.base_url"):
        bhili_address(written)
