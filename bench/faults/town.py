"""Everything that these calls need: the vendors, the agents' files, the server, and its books."""

import asyncio
import json
import os
import random
import re
import secrets
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError

from bench.faults import vendors, words
from bench.faults.calls import Bystander, Outcome, call_with_fault, in_turn, stand_by
from bench.faults.catalogue import Scenario
from bench.faults.stillness import Stillness
from bench.faults.vendors import Script
from bench.processes import Running, running, wait_listening
from bench.soak.ports import steady_port
from simulators.base import Simulator
from simulators.caller.vobiz import VobizCaller
from simulators.caller.vobiz_answer import AnswerRejected
from simulators.speech import Pcm, Speech, Voice

BYSTANDER: Final = "bystander"
#: Who serves where nobody fails.
WELL: Final = {"stt": "deepgram", "llm": "openai", "tts": "cartesia"}
#: Each phrase is made at two rates.
_PHRASES: Final = 2 * len({words.GREETING, words.APOLOGY, words.HOLD, words.PROMPT})
_PREPARE_SECONDS: Final = 180.0
#: A call that is turned away is placed so often, after so long.
_PLACE_TRIES: Final = 5
_LATE_SECONDS: Final = 6.0
_RECORD_SECONDS: Final = 60.0
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")

Tell = Callable[[str], None]


@dataclass(slots=True)
class Results:
    """What came of a run.

    Attributes:
        counted: ``errors_total`` by stage and kind.
        degraded: What readiness says of vendors, at the end.
        violations: What no correct client would have sent, by vendor.
        stood_still_seconds: See :class:`Stillness`.
        books: The records of all calls, also of those beside the others that broke off.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    bystanders: list[Bystander] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    degraded: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    stood_still_seconds: float = 0.0
    books: list[dict[str, Any]] = field(default_factory=list)

    @property
    def recorded(self) -> Counter[tuple[str, str]]:
        """The same as ``counted``, from the records of all calls."""
        marks = [each for book in self.books for each in book.get("degraded", ())]
        return Counter((each["stage"], each["kind"]) for each in marks)


@dataclass(slots=True)
class Town:
    """A server with its vendors."""

    server: Running
    port: int
    data: Path
    failing: Mapping[int, Simulator]
    well: Mapping[tuple[str, str], Simulator]
    speech: Speech
    question: Pcm

    @property
    def http(self) -> str:
        """Base address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def caller(self, agent_id: str) -> VobizCaller:
        """Somebody who will call an agent."""
        return VobizCaller(
            answer_url=f"{self.http}/answer?agent_id={agent_id}",
            hangup_url=f"{self.http}/hangup",
            speech=self.speech,
        )

    def records(self) -> dict[str, dict[str, Any]]:
        """Every call record stored, by the carrier's id."""
        folder = self.data / "storage" / "transcripts" / "records"
        found = [json.loads(path.read_text()) for path in folder.rglob("*.json")]
        return {record["carrier_call_id"]: record for record in found}

    def transcript(self, record: Mapping[str, Any]) -> list[str]:
        """Its lines."""
        file = record["transcript_text"]
        path = Path(self.data, "storage", file["kind"], file["key"])
        return path.read_text().splitlines()

    def read(self, path: str) -> str:
        """What the server answers to a GET."""
        with urllib.request.urlopen(f"{self.http}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def takes_calls(self) -> bool:
        """Whether a new call is welcome."""
        try:
            return '"ready":true' in self.read("/health/ready")
        except HTTPError as error:
            error.close()
            return False

    def errors_total(self) -> Counter[tuple[str, str]]:
        """The counter of failures."""
        found: Counter[tuple[str, str]] = Counter()
        for kind, stage, count in re.findall(
            r'^errors_total\{kind="(.*?)",stage="(.*?)"\} (\S+)',
            self.read("/metrics"),
            re.MULTILINE,
        ):
            found[stage, kind] = round(float(count))
        return found


async def run_catalogue(
    scenarios: Sequence[Scenario],
    folder: Path,
    *,
    at_once: int,
    bystanders: int = 2,
    tell: Tell = lambda text: None,
) -> Results:
    """Place a call for each scenario, and let others talk beside them all along.

    Args:
        folder: Empty; gets agents, data and log.
        at_once: Calls whose vendors fail.
        tell: Says how it goes.
    """
    async with _town(scenarios, folder, tell) as town:
        tell(f"{len(scenarios)} calls, {at_once} at once")
        over, stillness = asyncio.Event(), Stillness()
        watch = asyncio.create_task(stillness.watch())
        callers = [town.caller(BYSTANDER) for _ in range(bystanders)]
        beside = [
            asyncio.create_task(stand_by(caller, town.question, over.is_set)) for caller in callers
        ]
        calls = [partial(_place, town, scenario, stillness, tell) for scenario in scenarios]
        try:
            outcomes = await in_turn(calls, at_once)
        finally:
            over.set()
            heard = await asyncio.gather(*beside, return_exceptions=True)
            watch.cancel()
        results = Results(outcomes, [each for each in heard if isinstance(each, Bystander)])
        results.stood_still_seconds = stillness.total_seconds
        await _read_books(town, results, {caller.call_id for caller in callers})
        for simulator in (*town.well.values(), *town.failing.values()):
            results.violations += [f"{simulator.vendor}: {text}" for text in simulator.violations]
    return results


async def _place(town: Town, scenario: Scenario, stillness: Stillness, tell: Tell) -> Outcome:
    simulator = town.failing[scenario.number]
    for left in reversed(range(_PLACE_TRIES)):
        caller = town.caller(scenario.agent_id)
        before_seconds = stillness.total_seconds
        try:
            outcome = await call_with_fault(scenario, simulator, caller, town.question)
            break
        except AnswerRejected:
            # A server that stood still for seconds takes no calls for some more.
            if not left:
                raise
            await asyncio.sleep(_LATE_SECONDS)
    outcome.stood_still_seconds = stillness.total_seconds - before_seconds
    tell(f"{scenario.name}: {outcome.heard}")
    return outcome


async def _read_books(town: Town, results: Results, beside: Collection[str]) -> None:
    """What the server keeps of the calls, once all of it is stored.

    Args:
        beside: The calls of bystanders, by the carrier's id.
    """
    results.degraded = json.loads(await asyncio.to_thread(town.read, "/health/ready"))["degraded"]
    calls: list[Outcome | Bystander] = [*results.outcomes, *results.bystanders]
    async with asyncio.timeout(_RECORD_SECONDS):
        # A bystander that broke off has a record too.
        wanted = {each.call_id for each in calls} | set(beside)
        while not wanted <= (records := town.records()).keys():  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.2)
    log = town.server.log.read_text(errors="replace").splitlines()
    for call in calls:
        call.record = records[call.call_id]
        if isinstance(call, Outcome):
            call.transcript = town.transcript(call.record)
            session_id = call.record["session_id"]
            call.warnings = [x for x in log if session_id in x and "| WARNING" in x]
    results.books = list(records.values())
    results.counted = await asyncio.to_thread(town.errors_total)


@asynccontextmanager
async def _town(scenarios: Sequence[Scenario], folder: Path, tell: Tell) -> AsyncIterator[Town]:
    speech = Speech()
    question = await speech.say(words.QUESTION, voice=Voice(language="hi"))
    script = Script(len(question) * 1000 / 8000, folder / "kenpath.pem")
    _write_key(script.key_file)
    async with AsyncExitStack() as stack:
        well = {
            place: await stack.enter_async_context(make(script))
            for place, make in vendors.MAKERS.items()
        }
        failing = {
            each.number: await stack.enter_async_context(
                vendors.MAKERS[each.stage, each.provider](script)
            )
            for each in scenarios
        }
        agents = {BYSTANDER: _agent(script, well, None, None)}
        for each in scenarios:
            agents[each.agent_id] = _agent(script, well, each, failing[each.number])
        port = steady_port(random.Random())
        tell(f"starting a server with {len(agents)} agents")
        environment = _environment(folder, agents)
        words_ = ("main.py", "serve", "--port", str(port))
        server = stack.enter_context(
            running(words_, folder / "server.log", environment=environment)
        )
        await asyncio.to_thread(wait_listening, server, port)
        town = Town(server, port, folder / "data", failing, well, speech, question)
        await _phrases(town, {json.dumps(agent["tts"]) for agent in agents.values()})
        await _ready(town)
        for simulator in (*well.values(), *failing.values()):
            vendors.take_usual_time(simulator)
        yield town


async def _phrases(town: Town, voices: set[str]) -> None:
    """Wait until every voice has said every phrase."""
    mouths = {json.dumps(json.loads(voice)[json.loads(voice)["provider"]]) for voice in voices}
    folder, wanted = town.data / "phrases", _PHRASES * len(mouths)
    async with asyncio.timeout(_PREPARE_SECONDS):
        while len(list(folder.glob("*.pcm"))) < wanted:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


async def _ready(town: Town) -> None:
    """Wait until calls are taken: what a start loads keeps the loop of a busy machine for long."""
    async with asyncio.timeout(_PREPARE_SECONDS):
        while not await asyncio.to_thread(town.takes_calls):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


def _agent(
    script: Script,
    well: Mapping[tuple[str, str], Simulator],
    scenario: Scenario | None,
    failing: Simulator | None,
) -> dict[str, Any]:
    """An agent's file; every deadline is at its default."""
    agent: dict[str, Any] = {
        "language": "hi",
        "greeting": words.GREETING,
        "system_prompt": "आप एक सहायक हैं।",
        "turns": {"hold_messages": [words.HOLD], "no_input_prompt": words.PROMPT},
        "call": {"apology": words.APOLOGY, "farewell": words.PROMPT, "busy": words.PROMPT},
    }
    for stage, usual in WELL.items():
        chain = [(usual, well[stage, usual])]
        if scenario is not None and failing is not None and scenario.stage == stage:
            chain = [(scenario.provider, failing)]
            if scenario.fallback is not None:
                chain.append((scenario.fallback, well[stage, scenario.fallback]))
        agent[stage] = {
            "provider": chain[0][0],
            "fallback": [name for name, _ in chain[1:]],
            **{name: vendors.options(stage, name, it, script) for name, it in chain},
        }
    return agent


def _environment(folder: Path, agents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The agents' files, and the environment of a server that finds them."""
    agents_dir = folder / "agents"
    agents_dir.mkdir(parents=True)
    for agent_id, content in agents.items():
        (agents_dir / f"{agent_id}.json").write_text(json.dumps(content), encoding="utf-8")
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "AGENTS_DIR": str(agents_dir),
        "DATA_DIR": str(folder / "data"),
        "DEFAULT_AGENT": BYSTANDER,
        "JWT_SECRET": secrets.token_hex(32),
        "DRAIN_TIMEOUT": "5",
        # What others do to this machine meanwhile is no reason to turn calls away.
        "MAX_LOOP_LAG_MS": "5000",
        "MAX_FRAME_LATENESS_MS": "5000",
    }


def _write_key(path: Path) -> None:
    """An RSA key that is good for nothing but these calls."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
