"""Checks that need the whole script: targets, reachability, loops, clashes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rapidfuzz import fuzz, process

from services.script.model import (
    Action,
    Intent,
    State,
    bare_sample,
    placeholders_in,
)
from services.script.template import variables_in

if TYPE_CHECKING:
    from services.script.options import ScriptOptions

#: An action and where it stands, as an operator would look for it.
Placed = tuple[str, Action]


def find_problems(options: "ScriptOptions") -> list[str]:
    """Everything wrong with the script as a whole; each line says where, what and what to do."""
    problems = [*_bad_targets(options), *_caller_chosen_transfers(options)]
    if not problems:
        problems = [*_unreachable(options), *_loops(options), *_dead_ends(options)]
    return [*problems, *_clashing_samples(options)]


def _expand(where: str, action: Action | None) -> Iterator[Placed]:
    if action is None:
        return
    yield where, action
    if action.switch is not None:
        for value, case in action.switch.cases.items():
            yield from _expand(f"{where}.switch.cases.{value}", case)
        yield from _expand(f"{where}.switch.default", action.switch.default)


def _expand_all(where: str, actions: Mapping[str, Action]) -> Iterator[Placed]:
    for name, action in actions.items():
        yield from _expand(f"{where}.{name}", action)


def _steps(where: str, steps: tuple[Action, ...] | None) -> Iterator[Placed]:
    for number, step in enumerate(steps or ()):
        yield from _expand(f"{where}.{number}", step)


def _shared_actions(options: "ScriptOptions") -> Iterator[Placed]:
    yield from _expand_all("keys", options.keys)
    yield from _expand_all("intents", options.intents)
    yield from _steps("no_match", options.no_match)
    yield from _steps("no_input", options.no_input)
    yield from _expand("failed", options.failed)


def _state_actions(name: str, state: State) -> Iterator[Placed]:
    where = f"states.{name}"
    yield from _expand_all(f"{where}.keys", state.keys)
    yield from _expand_all(f"{where}.intents", state.intents)
    yield from _steps(f"{where}.no_match", state.no_match)
    yield from _steps(f"{where}.no_input", state.no_input)
    yield from _expand(f"{where}.then", state.then)
    for slot_name, slot in state.slots.items():
        yield from _expand(f"{where}.slots.{slot_name}.failed", slot.failed)


def _all_actions(options: "ScriptOptions") -> Iterator[Placed]:
    yield from _shared_actions(options)
    for name, state in options.states.items():
        yield from _state_actions(name, state)


def _bad_targets(options: "ScriptOptions") -> Iterator[str]:
    targets = [("start", options.start)] if options.start is not None else []
    targets += [(f"{where}.goto", a.goto) for where, a in _all_actions(options) if a.goto]
    for where, target in targets:
        if target not in options.states:
            yield f"{where}: there is no state {target!r}{_nearest(str(target), options)}"


def _nearest(target: str, options: "ScriptOptions") -> str:
    near = process.extractOne(target, list(options.states), scorer=fuzz.ratio, score_cutoff=60)
    if near is not None:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(options.states)}"


def _caller_chosen_transfers(options: "ScriptOptions") -> Iterator[str]:
    """A call must never be handed to a number that the caller dictated."""
    heard = _variables_from_callers(options)
    placed = [(f"{where}.transfer", a.transfer) for where, a in _all_actions(options)]
    placed += [(f"states.{n}.transfer", s.transfer) for n, s in options.states.items()]
    for where, transfer in placed:
        target = transfer.to if transfer is not None else None
        for name in sorted(variables_in(target or "")):
            if name in heard:
                yield (
                    f"{where}.to: {{{{{name}}}}} comes from the caller; a transfer may only "
                    "use the agent's own variables"
                )


def _variables_from_callers(options: "ScriptOptions") -> set[str]:
    names = {"heard"}
    for state in options.states.values():
        names.update(state.slots)
    for _, action in _all_actions(options):
        names.update(action.set)
        if isinstance(action, Intent):
            names.update(name for s in action.samples for _, name in placeholders_in(s))
    return names


def _gotos(placed: Iterator[Placed]) -> set[str]:
    return {action.goto for _, action in placed if action.goto}


def _unreachable(options: "ScriptOptions") -> Iterator[str]:
    shared = _gotos(_shared_actions(options))
    waiting = [options.first_state, *shared]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(_gotos(_state_actions(name, options.states[name])))
    for name in options.states:
        if name not in reached:
            yield f"states.{name}: is never reached; point a `goto` at it or remove it"


def _loops(options: "ScriptOptions") -> Iterator[str]:
    """States that hand on without ever waiting for the caller."""
    onward = {
        name: _gotos(_expand("", state.then)) if not state.slots else set()
        for name, state in options.states.items()
    }
    for name in options.states:
        waiting, seen = list(onward[name]), set()
        while waiting:
            target = waiting.pop()
            if target == name:
                yield f"states.{name}.then: comes back here without waiting for the caller"
                break
            if target not in seen:
                seen.add(target)
                waiting.extend(onward[target])


def _dead_ends(options: "ScriptOptions") -> Iterator[str]:
    if options.keys or options.intents:
        return
    for name, state in options.states.items():
        if state.final is None and not state.keys and not state.intents:
            yield (
                f"states.{name}: the caller has no way on; give it `keys`, `intents`, `then`, "
                "`transfer` or `end`"
            )


def _clashing_samples(options: "ScriptOptions") -> Iterator[str]:
    yield from _clashes("intents", options.intents)
    for name, state in options.states.items():
        yield from _clashes(f"states.{name}.intents", state.intents)


def _clashes(where: str, intents: Mapping[str, Intent]) -> Iterator[str]:
    owner: dict[str, str] = {}
    for name, intent in intents.items():
        for sample in intent.samples:
            key = " ".join(bare_sample(sample).casefold().split())
            if owner.setdefault(key, name) != name:
                yield f"{where}.{name}: sample {sample!r} is also in {owner[key]!r}"
