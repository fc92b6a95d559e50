import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.providers import ProviderCatalog
from config.settings import Settings
from config.store import AgentChange, AgentStore
from tests.unit.config.conftest import KEYLESS

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "agents"
    path.mkdir()
    return path


@pytest.fixture
def write(folder: Path) -> Write:
    clock = iter(range(1, 10_000))

    def write(name: str, text: str = "", *, body: str = KEYLESS) -> Path:
        file = folder / name
        file.write_text(f"{text}\n{body}", encoding="utf-8")
        # The file system's clock may stand still between two writes; this one does not.
        stamp = 1_700_000_000 + next(clock)
        os.utime(file, (stamp, stamp))
        return file

    return write


@pytest.fixture
async def store(
    folder: Path, catalog: ProviderCatalog, settings: Settings
) -> AsyncIterator[AgentStore]:
    never = asyncio.Event()

    async def sleep(_: float) -> None:
        await never.wait()

    store = AgentStore(folder, catalog, settings, sleep=sleep)
    yield store
    await store.stop()


def move(path: Path, to: Path) -> None:
    path.rename(to)


async def settle(store: AgentStore) -> None:
    await store.poll()
    await store.poll()


async def test_start_reads_json_yaml_and_yml_and_nothing_else(
    store: AgentStore, write: Write
) -> None:
    write("a.yaml")
    write("b.yml")
    write("c.json", body='{"llm": {"script": {"steps": {"a": "b"}}}}')
    for name in ("notes.txt", ".hidden.yaml", "agent.schema.json", "d.yaml~"):
        write(name, "not an agent")
    await store.start()
    assert store.ids() == ("a", "b", "c")
    assert store.rejects == {}


async def test_an_unknown_agent_is_an_error_and_not_found(store: AgentStore) -> None:
    await store.start()
    assert store.find("nobody") is None
    with pytest.raises(ConfigError) as caught:
        store.get("nobody")
    assert caught.value.code == "unknown_agent"


async def test_a_new_file_is_live_after_two_looks(store: AgentStore, write: Write) -> None:
    await store.start()
    write("a.yaml")
    await store.poll()
    assert store.ids() == ()
    await store.poll()
    assert store.ids() == ("a",)


async def test_a_file_still_being_written_is_left_until_it_rests(
    store: AgentStore, write: Write
) -> None:
    await store.start()
    for text in ("language: h", "language: hi", "language: hi\ngreeting: one"):
        write("a.yaml", text)
        await store.poll()
        assert store.ids() == ()
        assert store.rejects == {}
    await store.poll()
    assert store.get("a").greeting == "one"


async def test_a_change_makes_a_new_agent_and_leaves_the_old_one_as_it_was(
    store: AgentStore, write: Write
) -> None:
    write("a.yaml", "greeting: one")
    await store.start()
    held = store.get("a")
    write("a.yaml", "greeting: two")
    await settle(store)
    assert held.greeting == "one"
    assert store.get("a").greeting == "two"


async def test_a_broken_file_keeps_its_last_good_version_serving(
    store: AgentStore, write: Write
) -> None:
    write("a.yaml", "greeting: one")
    await store.start()
    write("a.yaml", "greting: two")
    await settle(store)
    assert store.get("a").greeting == "one"
    assert "a.yaml:1: greting: unknown key" in store.rejects["a.yaml"].message
    write("a.yaml", "greeting: three")
    await settle(store)
    assert store.get("a").greeting == "three"
    assert store.rejects == {}


async def test_a_broken_file_at_start_does_not_stop_the_others(
    store: AgentStore, write: Write
) -> None:
    write("a.yaml", body="{")
    write("b.yaml")
    await store.start()
    assert store.ids() == ("b",)
    assert list(store.rejects) == ["a.yaml"]


async def test_removing_a_file_removes_its_agent(store: AgentStore, write: Write) -> None:
    file = write("a.yaml", "phone_numbers: ['+919812345678']")
    await store.start()
    file.unlink()
    await store.poll()
    assert store.ids() == ()
    assert store.by_number("+919812345678") is None


async def test_removing_a_broken_file_clears_its_reject(store: AgentStore, write: Write) -> None:
    file = write("a.yaml", body="{")
    await store.start()
    file.unlink()
    await store.poll()
    assert store.rejects == {}


async def test_agents_are_found_by_number_however_it_is_written(
    store: AgentStore, write: Write
) -> None:
    write("a.yaml", "phone_numbers: ['098123 45678']")
    await store.start()
    for number in ("+919812345678", "919812345678", "09812345678", "9812345678"):
        found = store.by_number(number)
        assert found is not None
        assert found.agent_id == "a"
    assert store.by_number("+919812345679") is None
    assert store.by_number("anonymous") is None


async def test_two_files_of_one_id_are_told_by_both_names(store: AgentStore, write: Write) -> None:
    write("a.yaml", "agent_id: same\ngreeting: a")
    write("b.yaml", "agent_id: same\ngreeting: b")
    await store.start()
    assert store.get("same").greeting == "a"
    message = store.rejects["b.yaml"].message
    assert "b.yaml and a.yaml both have the id 'same'" in message


async def test_the_one_that_serves_keeps_its_id_whatever_its_name(
    store: AgentStore, write: Write
) -> None:
    write("b.yaml", "agent_id: same\ngreeting: b")
    await store.start()
    write("a.yaml", "agent_id: same\ngreeting: a")
    await settle(store)
    assert store.get("same").greeting == "b"
    assert list(store.rejects) == ["a.yaml"]


async def test_the_refused_one_takes_over_when_the_other_goes(
    store: AgentStore, write: Write
) -> None:
    first = write("a.yaml", "agent_id: same\ngreeting: a")
    write("b.yaml", "agent_id: same\ngreeting: b")
    await store.start()
    first.unlink()
    await store.poll()
    assert store.get("same").greeting == "b"
    assert store.rejects == {}


async def test_a_file_that_takes_anothers_id_keeps_serving_as_it_was(
    store: AgentStore, write: Write
) -> None:
    write("a.yaml")
    write("b.yaml", "greeting: b")
    await store.start()
    write("b.yaml", "agent_id: a\ngreeting: stolen")
    await settle(store)
    assert store.ids() == ("a", "b")
    assert store.get("b").greeting == "b"
    assert list(store.rejects) == ["b.yaml"]


async def test_two_agents_cannot_answer_one_number(store: AgentStore, write: Write) -> None:
    write("a.yaml", "phone_numbers: ['+919812345678']")
    write("b.yaml", "phone_numbers: ['+919812345678']")
    await store.start()
    assert store.ids() == ("a",)
    message = store.rejects["b.yaml"].message
    assert "both answer +**********78" in message


async def test_a_link_out_of_the_folder_is_refused(
    store: AgentStore, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text(KEYLESS, encoding="utf-8")
    (folder / "a.yaml").symlink_to(outside)
    (folder / "b.yaml").symlink_to(tmp_path / "nowhere.yaml")
    await store.start()
    assert store.ids() == ()
    assert "leads out of the folder" in store.rejects["a.yaml"].message
    assert "leads nowhere" in store.rejects["b.yaml"].message


async def test_a_link_within_the_folder_is_followed(store: AgentStore, folder: Path) -> None:
    (folder / "..data").mkdir()
    (folder / "..data" / "a.yaml").write_text(KEYLESS, encoding="utf-8")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    await store.start()
    assert store.ids() == ("a",)


async def test_a_folder_or_a_pipe_is_no_agent(store: AgentStore, folder: Path) -> None:
    (folder / "a.yaml").mkdir()
    os.mkfifo(folder / "b.yaml")
    await store.start()
    assert [error.message.endswith("is not a plain file") for error in store.rejects.values()] == [
        True,
        True,
    ]


async def test_a_file_of_ten_megabytes_is_refused(store: AgentStore, folder: Path) -> None:
    (folder / "a.yaml").write_bytes(b"# " + b"x" * 10_000_000)
    await store.start()
    assert "larger than 1024 KiB" in store.rejects["a.yaml"].message


async def test_listeners_hear_of_every_change(store: AgentStore, write: Write) -> None:
    heard: list[tuple[str, str, bool]] = []

    def listener(change: AgentChange) -> None:
        heard.append((change.kind, change.agent_id, change.agent is not None))

    unsubscribe = store.subscribe(listener)
    file = write("a.yaml", "greeting: one")
    await store.start()
    write("a.yaml", "greeting: two")
    await settle(store)
    write("a.yaml", "greeting: two")
    await settle(store)
    file.unlink()
    await store.poll()
    assert heard == [("loaded", "a", True), ("changed", "a", True), ("removed", "a", False)]
    unsubscribe()
    write("a.yaml")
    await settle(store)
    assert len(heard) == 3


async def test_a_failing_listener_harms_nobody(store: AgentStore, write: Write) -> None:
    heard: list[str] = []

    def fail(_: AgentChange) -> None:
        raise RuntimeError("listener")

    store.subscribe(fail)
    store.subscribe(lambda change: heard.append(change.agent_id))
    write("a.yaml")
    await store.start()
    assert (store.ids(), heard) == (("a",), ["a"])


async def test_refresh_does_not_wait_for_a_second_look(store: AgentStore, write: Write) -> None:
    await store.start()
    write("a.yaml")
    await store.refresh()
    assert store.ids() == ("a",)
    assert store.file_of("a") == store.folder / "a.yaml"
    assert store.file_of("b") is None


async def test_a_missing_folder_is_told_at_start(
    tmp_path: Path, catalog: ProviderCatalog, settings: Settings
) -> None:
    store = AgentStore(tmp_path / "none", catalog, settings)
    with pytest.raises(ConfigError, match="folder of agent files cannot be read"):
        await store.start()
    await store.stop()


async def test_agents_survive_a_folder_that_vanishes(
    store: AgentStore, write: Write, folder: Path
) -> None:
    write("a.yaml")
    await store.start()
    move(folder, folder.with_name("away"))
    with pytest.raises(ConfigError):
        await store.poll()
    assert store.ids() == ("a",)


async def test_changes_are_followed_without_being_asked(
    folder: Path, write: Write, catalog: ProviderCatalog, settings: Settings
) -> None:
    loaded = asyncio.Event()
    store = AgentStore(folder, catalog, settings, poll_seconds=0.01)
    store.subscribe(lambda _: loaded.set())
    await store.start()
    write("a.yaml")
    async with asyncio.timeout(60):
        await loaded.wait()
    assert store.ids() == ("a",)
    await store.stop()
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "agent-store"]


async def test_a_folder_that_comes_back_is_followed_again(
    folder: Path, write: Write, catalog: ProviderCatalog, settings: Settings
) -> None:
    looks: asyncio.Queue[None] = asyncio.Queue()
    asleep: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(_: float) -> None:
        asleep.put_nowait(None)
        await looks.get()

    async def look() -> None:
        await asleep.get()
        looks.put_nowait(None)

    store = AgentStore(folder, catalog, settings, sleep=sleep)
    await store.start()
    away = folder.with_name("away")
    move(folder, away)
    await look()
    await look()
    move(away, folder)
    write("a.yaml")
    await look()
    await look()
    await asleep.get()
    assert store.ids() == ("a",)
    await store.stop()
