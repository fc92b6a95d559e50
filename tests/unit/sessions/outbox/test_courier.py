"""Deliveries on virtual time: order, pauses, outages, poison, and what is put aside."""

import asyncio
import base64
import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import Mock
from uuid import UUID

import pytest
from pydantic import SecretStr

from sessions import journal_seal
from sessions.journal_seal import JournalKey, use_journal_keys
from sessions.outbox.courier import Courier, CourierOptions, DeliveryError
from sessions.outbox.folder import ReportFolder
from sessions.outbox.report import Report, file_name
from tests.unit.sessions.outbox.logs import logged
from tests.virtual_time import virtual_time

OPTIONS = CourierOptions(first_pause_seconds=1, longest_pause_seconds=60, attempt_seconds=10)


@dataclass
class Receiver:
    """Takes reports, or not.

    Attributes:
        taken: Keys in the order they were taken.
        tries: When each try came, on the loop's clock, and of what.
        fails: Says why a report is not taken; None where it is.
    """

    taken: list[str] = field(default_factory=list)
    tries: list[tuple[float, str]] = field(default_factory=list)
    fails: Callable[[str], DeliveryError | None] = lambda key: None
    seconds: float = 0.0
    busiest: int = 0
    busy: int = 0

    async def deliver(self, report: Report) -> None:
        """One try."""
        self.tries.append((asyncio.get_running_loop().time(), report.key))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.busy -= 1
        error = self.fails(report.key)
        if error is not None:
            raise error
        self.taken.append(report.key)


class Post:
    """A courier with its folder and receiver."""

    def __init__(
        self, path: Path, options: CourierOptions = OPTIONS, key: JournalKey | None = None
    ) -> None:
        self.folder = ReportFolder(path, key)
        self.receiver = Receiver()
        self.outcomes: list[str] = []
        self.pool = ThreadPoolExecutor(1)
        self.courier = Courier(
            "the receiver",
            self.folder,
            self.receiver.deliver,
            self.pool,
            options=options,
            on_attempt=self.outcomes.append,
        )

    def put(self, key: str, *, call: int, step: int = 1) -> str:
        """A report of a call, on disk."""
        session = str(UUID(int=call))
        name = file_name(1000.0 + call, session, session, f"{step}-step")
        self.folder.write(name, Report(key=key, method="POST", path="/x", body="{}"))
        return name

    def block(self) -> None:
        """Put a file where the folder should be."""
        self.folder.path.write_text("not a folder")

    def unblock(self) -> None:
        """Take it away."""
        self.folder.path.unlink()

    def tell(self, key: str, *, call: int, step: int = 1) -> None:
        """A report that comes while the courier works."""
        self.courier.added(self.put(key, call=call, step=step), is_new=True)

    async def until_empty(self) -> None:
        """Wait until nothing waits."""
        while self.courier.waiting:  # noqa: ASYNC110 - the time is virtual
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        """End."""
        await self.courier.close(0)
        self.pool.shutdown()


def away(key: str) -> DeliveryError:
    """The receiver is not there."""
    return DeliveryError("unreachable", "away")


@virtual_time
async def check_order(path: Path) -> None:
    post = Post(path, CourierOptions(parallel=1))
    for key, call, step in (("b2", 2, 2), ("a1", 1, 1), ("b1", 2, 1), ("a2", 1, 2)):
        post.put(key, call=call, step=step)
    await post.courier.start()
    await post.until_empty()
    assert post.receiver.taken == ["a1", "a2", "b1", "b2"]
    assert post.folder.look(10).count == 0 and post.courier.oldest_seconds() == 0
    await post.close()


def test_oldest_first_and_each_call_in_its_order(tmp_path: Path) -> None:
    check_order(tmp_path)


@virtual_time
async def check_parallel(path: Path) -> None:
    post = Post(path)
    post.receiver.seconds = 1.0
    await post.courier.start()
    for call in range(8):
        post.tell(f"{call}-1", call=call)
        post.tell(f"{call}-2", call=call, step=2)
    await post.until_empty()
    assert post.receiver.busiest == 4
    for call in range(8):
        assert post.receiver.taken.index(f"{call}-1") < post.receiver.taken.index(f"{call}-2")
    await post.close()


def test_calls_side_by_side_a_few_at_a_time(tmp_path: Path) -> None:
    check_parallel(tmp_path)


@virtual_time
async def check_outage(path: Path) -> None:
    post = Post(path)
    post.receiver.fails = away
    await post.courier.start()
    for call in range(20):
        post.tell(str(call), call=call)
    await asyncio.sleep(3600)
    tries = [at for at, _ in post.receiver.tries]
    pauses = [b - a for a, b in zip(tries[4:], tries[5:], strict=False)]
    # The first few go out together; from then on one at a time, ever more seldom.
    assert max(pauses) <= 90.5 and 40 <= len(tries) <= 150
    # Chance keeps the servers of one receiver from coming back together.
    assert len({round(pause, 2) for pause in pauses[-20:]}) > 10
    assert post.receiver.busiest <= 4 and post.courier.waiting == 20
    assert post.courier.last_error == "unreachable"
    post.receiver.fails = lambda key: None
    began = asyncio.get_running_loop().time()
    await post.until_empty()
    assert asyncio.get_running_loop().time() - began <= 92
    assert sorted(post.receiver.taken, key=int) == [str(call) for call in range(20)]
    # The success that ended the outage brought all others forward, oldest first.
    rest = [int(key) for key in post.receiver.taken[1:]]
    assert rest == sorted(rest)
    assert post.courier.last_error is None
    await post.close()


def test_an_outage_is_asked_about_seldom_and_ends_at_once(tmp_path: Path) -> None:
    check_outage(tmp_path)


@virtual_time
async def check_poison(path: Path) -> None:
    post = Post(path)
    post.receiver.fails = lambda key: away(key) if key == "bad" else None
    await post.courier.start()
    post.tell("bad", call=0)
    post.tell("after bad", call=0, step=2)
    for call in range(1, 30):
        post.tell(str(call), call=call)
        await asyncio.sleep(1)
    await asyncio.sleep(120)
    assert [int(key) for key in post.receiver.taken] == list(range(1, 30))
    assert post.courier.waiting == 2
    await post.close()


def test_a_report_that_nobody_can_take_holds_up_its_own_call_only(tmp_path: Path) -> None:
    check_poison(tmp_path)


class Chance:
    """Has the receiver asked again soon, and each call late."""

    def __init__(self) -> None:
        self._next = itertools.cycle((0.5, 1.5))

    def uniform(self, least: float, most: float) -> float:
        assert (least, most) == (0.5, 1.5)
        return next(self._next)


@virtual_time
async def check_brought_forward(path: Path) -> None:
    post = Post(path)
    post.receiver.fails = away
    await post.courier.start()
    for call in range(2):
        post.tell(str(call), call=call)
    await asyncio.sleep(3600)
    post.receiver.fails = lambda key: None
    before = len(post.receiver.tries)
    await post.until_empty()
    first, second = (at for at, _ in post.receiver.tries[before:])
    assert second - first < 1, "it would be due half a minute later"
    await post.close()


def test_the_end_of_an_outage_brings_forward_what_was_put_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.outbox.courier.random", Chance())
    check_brought_forward(tmp_path)


@virtual_time
async def check_look(path: Path) -> None:
    post = Post(path, CourierOptions(rescan_seconds=5))
    busy = DeliveryError("refused", "busy", after_seconds=60)
    post.receiver.fails = lambda key: busy if key == "bad" else None
    await post.courier.start()
    post.tell("bad", call=0)
    post.tell("good", call=1)
    await asyncio.sleep(55)
    assert [key for _, key in post.receiver.tries] == ["bad", "good"]
    await asyncio.sleep(10)
    assert [key for _, key in post.receiver.tries] == ["bad", "good", "bad"]
    await post.close()


def test_a_look_at_the_folder_does_not_forget_when_a_report_is_due(tmp_path: Path) -> None:
    check_look(tmp_path)


@virtual_time
async def check_parts(path: Path) -> None:
    post = Post(path)
    name = post.put("1", call=1)
    part = path / f".part-{name}"
    part.write_bytes(b'{"torn":')
    await post.courier.start()
    await post.until_empty()
    assert (part.exists(), post.receiver.taken) == (False, ["1"])
    await post.close()


def test_what_a_killed_process_wrote_by_half_is_removed(tmp_path: Path) -> None:
    check_parts(tmp_path)


@virtual_time
async def check_named(path: Path) -> None:
    post = Post(path)
    post.receiver.fails = away
    post.put("1", call=7)
    with logged("WARNING") as lines:
        await post.courier.start()
        await asyncio.sleep(5)
    assert [line for line in lines if str(UUID(int=7)) in line and "unreachable" in line] == lines
    assert len(lines) == 1
    await post.close()


def test_the_warning_of_a_failure_names_the_call(tmp_path: Path) -> None:
    check_named(tmp_path)


@virtual_time
async def check_final(path: Path) -> None:
    post = Post(path)
    gone = DeliveryError("refused", "answered 422", final=True)
    post.receiver.fails = lambda key: gone if key == "1" else None
    name = post.put("1", call=1)
    post.put("2", call=1, step=2)
    (path / name.replace("-1-step", "-3-step")).write_bytes(b'{"torn":')
    (path / "note.txt").write_text("not a report")
    with logged("WARNING") as lines:
        await post.courier.start()
        await post.until_empty()
    assert post.outcomes == ["rejected", "delivered", "rejected"]
    assert "422" in "".join(lines) and all(str(UUID(int=1)) in line for line in lines)
    assert post.folder.rejected() == 2
    assert "422" in (path / "rejected" / name).with_suffix(".txt").read_text()
    # Put back by hand, it is found at the next look.
    post.receiver.fails = lambda key: None
    os.replace(path / "rejected" / name, path / name)
    await asyncio.sleep(OPTIONS.rescan_seconds + 60)
    assert post.receiver.taken == ["2", "1"]
    await post.close()


def test_what_is_refused_for_good_is_put_aside_and_can_be_put_back(tmp_path: Path) -> None:
    check_final(tmp_path)


@virtual_time
async def check_many(path: Path) -> None:
    post = Post(path, CourierOptions(most_in_memory=10, parallel=1))
    for call in range(25):
        post.put(str(call), call=call)
    await post.courier.start()
    lanes = post.courier._known.lanes.values()
    assert post.courier.waiting == 25 and sum(len(lane.names) for lane in lanes) == 10
    post.tell("later", call=30)
    await post.until_empty()
    assert post.receiver.taken == [*map(str, range(25)), "later"]
    await post.close()


def test_more_than_memory_holds_stays_on_disk_and_in_order(tmp_path: Path) -> None:
    check_many(tmp_path)


@virtual_time
async def check_hanging(path: Path) -> None:
    post = Post(path)
    post.receiver.seconds = 1e6
    await post.courier.start()
    post.tell("1", call=1)
    await asyncio.sleep(OPTIONS.attempt_seconds + 0.1)
    assert post.outcomes == ["timeout"]
    post.receiver.seconds = 0
    await post.until_empty()
    assert post.outcomes == ["timeout", "delivered"]
    await post.close()


def test_a_receiver_that_hangs_is_given_up_each_time(tmp_path: Path) -> None:
    check_hanging(tmp_path)


@virtual_time
async def check_asked_to_wait(path: Path) -> None:
    post = Post(path)
    post.receiver.fails = lambda key: DeliveryError("refused", "busy", after_seconds=30)
    await post.courier.start()
    post.tell("1", call=1)
    await asyncio.sleep(29)
    assert len(post.receiver.tries) == 1
    await asyncio.sleep(2)
    assert len(post.receiver.tries) == 2
    # But not for a day.
    post.receiver.fails = lambda key: DeliveryError("refused", "busy", after_seconds=86_400)
    await asyncio.sleep(30 + 90)
    assert len(post.receiver.tries) == 4
    await post.close()


def test_a_receiver_may_ask_for_patience(tmp_path: Path) -> None:
    check_asked_to_wait(tmp_path)


@virtual_time
async def check_alert(path: Path) -> None:
    post = Post(path)
    post.receiver.fails = away
    name = post.put("1", call=1)
    hour_ago = time.time() - 3600
    os.utime(path / name, (hour_ago, hour_ago))
    with logged("ERROR") as lines:
        await post.courier.start()
        await asyncio.sleep(600)
        assert len(lines) == 1 and "ALERT: 1 reports wait for the receiver" in lines[0]
        await asyncio.sleep(3600)
        assert len(lines) == 2
    await post.close()


def test_reports_that_wait_for_long_are_told_in_the_log(tmp_path: Path) -> None:
    check_alert(tmp_path)


@virtual_time
async def check_crash(path: Path) -> None:
    post = Post(path)
    mistakes = [ValueError("a mistake of ours")]

    def fails(key: str) -> DeliveryError | None:
        if mistakes:
            raise mistakes.pop()
        return None

    post.receiver.fails = fails
    await post.courier.start()
    post.tell("1", call=1)
    await post.until_empty()
    assert post.outcomes == ["crashed", "delivered"]
    await post.close()


def test_a_mistake_of_ours_is_a_failure_like_any_other(tmp_path: Path) -> None:
    check_crash(tmp_path)


@virtual_time
async def check_unreadable(path: Path) -> None:
    post = Post(path)
    post.block()
    with logged("ERROR") as lines:
        await post.courier.start()
        await asyncio.sleep(1)
    assert len(lines) == 1 and "cannot be looked at" in lines[0]
    post.unblock()
    post.tell("1", call=1)
    await post.until_empty()
    assert post.receiver.taken == ["1"]
    await post.close()


def test_a_folder_that_cannot_be_read_does_not_keep_the_server_from_starting(
    tmp_path: Path,
) -> None:
    check_unreadable(tmp_path / "backend")


@virtual_time
async def check_unseen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The loop's clock may have begun with the machine: it says nothing of the last look.
    post = Post(path, CourierOptions(rescan_seconds=1e5))
    post.put("1", call=1)
    with monkeypatch.context() as failing:
        failing.setattr(post.folder, "look", Mock(side_effect=OSError(5, "input/output error")))
        await post.courier.start()
    post.tell("2", call=1, step=2)
    await post.until_empty()
    assert post.receiver.taken == ["1", "2"]
    await post.close()


def test_nothing_is_delivered_before_the_folder_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_unseen(tmp_path, monkeypatch)


@virtual_time
async def check_removed_meanwhile(path: Path) -> None:
    post = Post(path)
    for call in range(50):
        post.put(str(call), call=call)
    for call in range(50, 60):
        # A name that is listed and leads to nothing any more.
        name = file_name(1000.0 + call, str(call), str(UUID(int=call)), "1-step")
        (path / name).symlink_to(path / "removed")
    assert post.folder.look(100).count == len(post.folder.look(100).first) == 50
    await post.courier.start()
    await post.until_empty()
    assert len(post.receiver.taken) == 50
    await post.close()


def test_a_report_that_somebody_removes_hides_no_other(tmp_path: Path) -> None:
    check_removed_meanwhile(tmp_path)


def secret() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def contents(path: Path) -> dict[Path, bytes]:
    """Every file there."""
    return {each: each.read_bytes() for each in path.iterdir()}


@virtual_time
async def check_sealed(path: Path) -> None:
    post = Post(path, key=use_journal_keys(SecretStr(secret())))
    name = post.put("+919812345678", call=1)
    refused = post.put("+919812345679", call=2)
    post.receiver.fails = lambda key: (
        DeliveryError("refused", "answered 422", final=True) if key.endswith("9") else None
    )
    assert b"98123456" not in (path / name).read_bytes()
    await post.courier.start()
    await post.until_empty()
    assert post.receiver.taken == ["+919812345678"]
    aside = path / "rejected" / refused
    assert b"98123456" not in aside.read_bytes()
    assert aside.with_suffix(".txt").read_text() == "answered 422\n"
    # Put back by hand, it is read like any other; under another's name it is not.
    post.receiver.fails = lambda key: None
    wrong = name.replace("1-step", "2-step")
    (path / wrong).write_bytes(aside.read_bytes())
    os.replace(aside, path / refused)
    await asyncio.sleep(OPTIONS.rescan_seconds + 60)
    assert post.receiver.taken == ["+919812345678", "+919812345679"]
    assert "StorageError" in (path / "rejected" / wrong).with_suffix(".txt").read_text()
    await post.close()


def test_what_is_sealed_is_delivered_and_put_aside_alike(tmp_path: Path) -> None:
    check_sealed(tmp_path)


@virtual_time
async def check_unknown_key(path: Path, keys: dict[str, JournalKey]) -> None:
    old, new = secret(), secret()
    sealed_with_old = Post(path, key=use_journal_keys(SecretStr(old)))
    # More of them than memory holds, and older than all others.
    for call in range(25):
        sealed_with_old.put(f"old {call}", call=call)
    sealed_with_old.pool.shutdown()
    before = contents(path)
    keys.clear()
    few = CourierOptions(most_in_memory=10, parallel=1)
    post = Post(path, few, key=use_journal_keys(SecretStr(new)))
    plain = Post(path)
    plain.put("plain", call=40)
    plain.pool.shutdown()
    with logged("WARNING") as lines:
        await post.courier.start()
        post.tell("new", call=50)
        await asyncio.sleep(2 * few.rescan_seconds)
    assert post.receiver.taken == ["plain", "new"]
    assert contents(path) == before
    assert post.courier.waiting == 25 and post.outcomes == ["delivered"] * 2
    ((key_name, number),) = post.courier.unknown_keys.items()
    assert number == 25 and sum(key_name in line for line in lines) == 25
    assert all(any(each.name in line for line in lines) for each in before)
    await post.close()

    both = Post(path, few, key=use_journal_keys(SecretStr(f"{new},{old}")))
    both.put("newer", call=60)
    await both.courier.start()
    await both.until_empty()
    assert both.receiver.taken == [*(f"old {call}" for call in range(25)), "newer"]
    assert both.courier.unknown_keys == {}
    await both.close()


def test_a_key_that_is_not_known_keeps_its_reports_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[str, JournalKey] = {}
    monkeypatch.setattr(journal_seal, "_known_keys", keys)
    check_unknown_key(tmp_path, keys)
