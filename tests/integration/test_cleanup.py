"""After many calls the process has what it began with: tasks, threads, sockets, memory."""

import asyncio
import gc
import random
import reprlib
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType, ModuleType

import psutil

from simulators.caller.client import ClientCaller
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech
from tests.integration.process import ServerProcess, server_process
from tests.integration.server import BRISK_AGENT, RunningServer

CALLS, AT_ONCE = 200, 20
#: More at once than later, and then as many, so that the heap has been as large as it will have
#: to be: what is freed in between is not always given back to the system.
WARM_UPS = ((120, 30), (CALLS, AT_ONCE))
MOST_GROWTH = 1.05
#: On a busy machine more calls are being stored at once, and the heap may still grow for that in
#: the next round, or in the one after it. What calls leave behind grows in every one.
MOST_ROUNDS = 3
#: A busy machine takes its time to close what 24 calls had open.
REST_SECONDS = 60.0
#: Enough of an object to know it by.
SHORT = reprlib.Repr()
SHORT.maxother = SHORT.maxstring = 150


async def short_call(http: str, ws: str, token: str, speech: Speech, number: int) -> None:
    """A fraction of a second, ended in one of the ways in which calls end."""
    seconds = random.Random(number).uniform(0.2, 0.5)
    if number % 2:
        phone = VobizCaller(answer_url=f"{http}/answer", hangup_url=f"{http}/hangup", speech=speech)
        await phone.place()
        await phone.wait(seconds * 1000)
        await phone.hang_up(abort=number % 3 == 0)
        return
    program = ClientCaller(f"{ws}/voice", token=token, speech=speech, binary=number % 3 == 0)
    await program.place()
    await program.wait(seconds * 1000)
    if number % 4:
        program.text("what are your opening hours")
        await program.end(timeout_seconds=30)
    else:
        await program.hang_up(abort=number % 8 == 0)


async def many_calls(
    http: str, ws: str, token: str, speech: Speech, count: int, at_once: int
) -> None:
    slots = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with slots:
            await short_call(http, ws, token, speech, number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))


#: Thread pools of a fixed size may still have grown a thread, and connections be kept for the
#: next call: a few in all, where 200 calls that each left something would leave hundreds.
POOLS_MAY_FILL = 10


def state(process: psutil.Process) -> tuple[int, int, int]:
    """Threads, file descriptors and bytes of memory that are the process's own."""
    memory = process.memory_full_info().uss
    return process.num_threads(), process.num_fds(), memory


async def at_rest(server: ServerProcess, process: psutil.Process) -> tuple[int, int, int]:
    """Its state once every call has been stored and nothing changes any more."""
    journals = server.folder / "data" / "journal"
    last, same = state(process), 0
    async with asyncio.timeout(120):
        while same < 5 or list(journals.iterdir()):
            await asyncio.sleep(0.3)
            now = state(process)
            same = same + 1 if now[:2] == last[:2] else 0
            last = now
    return last


async def test_two_hundred_calls_leave_no_trace(tmp_path: Path, speech: Speech) -> None:
    # Nobody is to be turned away, however long a slow machine takes to end a call.
    env = {"MAX_CONNECTIONS": "1000"}
    async with server_process(tmp_path / "s", {"brisk": BRISK_AGENT}, env) as server:
        process = psutil.Process(server.process.pid)

        async def calls(count: int, at_once: int) -> None:
            await many_calls(server.http, server.ws, server.token(), speech, count, at_once)

        for count, at_once in WARM_UPS:
            await calls(count, at_once)
        threads, handles, *memory = await at_rest(server, process)
        while len(memory) < 2 or memory[-1] > memory[-2] * MOST_GROWTH:
            told = " -> ".join(f"{each / 1e6:.1f}" for each in memory)
            assert len(memory) <= MOST_ROUNDS, f"{told} MB, each after {CALLS} calls more"
            await calls(CALLS, AT_ONCE)
            after = await at_rest(server, process)
            assert after[0] <= threads + POOLS_MAY_FILL
            assert after[1] <= handles + POOLS_MAY_FILL
            memory.append(after[2])
        placed = (len(memory) - 1) * CALLS + sum(count for count, _ in WARM_UPS)
        assert len(server.records()) == placed
        assert "ERROR" not in server.log


def tasks_by_name() -> Counter[str]:
    return Counter(
        "".join(c for c in task.get_name() if not c.isdigit()) for task in asyncio.all_tasks()
    )


def running(names: Collection[str]) -> list[str]:
    """What the tasks of these names do, for people."""
    return [
        repr(task)
        for task in asyncio.all_tasks()
        if "".join(c for c in task.get_name() if not c.isdigit()) in names
    ]


def is_ours(keeper: object) -> bool:
    """Whether it is this file's own looking that keeps an object."""
    code = getattr(keeper, "f_code", None) or getattr(keeper, "cr_code", None)
    return isinstance(code, CodeType) and code.co_filename == __file__


def who_keeps(found: object) -> str:
    """The shortest chain from an object to a task, a frame, a timer or a module that keeps it."""
    chains: dict[int, list[object]] = {id(found): [found]}
    here: list[object] = [found]
    for _ in range(12):
        keepers = gc.get_referrers(*here)
        here, held = [], {id(each) for each in here}
        for keeper in keepers:
            if id(keeper) in chains or is_ours(keeper):
                continue
            kept = [chains[id(each)] for each in gc.get_referents(keeper) if id(each) in held]
            if not kept or keeper is chains or keeper is keepers:
                continue
            chains[id(keeper)] = chain = [*kept[0], keeper]
            here.append(keeper)
            if isinstance(keeper, FrameType | ModuleType | asyncio.Task | asyncio.Handle):
                return " <- ".join(
                    f"{type(each).__qualname__} {SHORT.repr(each)}" for each in chain
                )
    return f"{found!r}: nothing found that keeps it"


async def test_calls_leave_no_task_and_no_object(server: RunningServer, speech: Speech) -> None:
    from bot.call_bot import CallBot
    from sessions.session import CallSession

    def calls_in_memory() -> list[object]:
        gc.collect()
        return [o for o in gc.get_objects() if type(o) in (CallSession, CallBot)]

    parts, of_other_tests = server.parts, calls_in_memory()

    async def rest() -> None:
        """Every call is stored, and what the server does when it starts has been done."""
        await server.until(lambda: parts.manager.active == 0, REST_SECONDS)
        await parts.manager.settled()
        await server.until(lambda: not parts.manager.ringing, REST_SECONDS)
        await parts.phrases.prepared("brisk")
        await server.until(lambda: parts.indexer.state == "ok", REST_SECONDS)

    async def usual_tasks() -> Counter[str]:
        """Those of a server at rest: the same for a second."""
        last, same = tasks_by_name(), 0
        async with asyncio.timeout(REST_SECONDS):
            while same < 20:
                await asyncio.sleep(0.05)
                now = tasks_by_name()
                same = same + 1 if now == last else 0
                last = now
        return last

    await many_calls(server.http, server.ws, server.token(), speech, 4, 4)
    await rest()
    before = await usual_tasks()
    await many_calls(server.http, server.ws, server.token(), speech, 24, 12)
    await rest()
    with suppress(TimeoutError):
        await server.until(lambda: tasks_by_name() <= before, REST_SECONDS)
    more = tasks_by_name() - before
    assert not more, [more, *running(more)]

    def left() -> list[object]:
        return [o for o in calls_in_memory() if not any(o is other for other in of_other_tests)]

    with suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            # To look takes long after many other tests, and the server is to go on meanwhile.
            while left():  # noqa: ASYNC110 - the collector brings it about
                await asyncio.sleep(0.5)
    found = left()
    assert not found, [len(found), *map(who_keeps, found[:3])]
