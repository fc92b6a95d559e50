"""Checks that need the whole script: targets, reachability, loops, clashes."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from rapidfuzz import fuzz, process

from services.script.fields import bare_sample, placeholders_in
from services.script.model import Action, Intent, State, Transfer
from services.script.template import variables_in

if TYPE_CHECKING:
    from services.script.options import ScriptOptions

_NUMBER = re.compile(r"\+?[0-9][0-9 ()-]{2,}|sips?:\S+")
#: An action and where it stands, as an operator would look for it.
Placed = tuple[str, Action]


def find_problems(options: "ScriptOptions") -> list[str]:
    """Everything wrong with the script as a whole; each line says where, what and what to do."""
    problems = [*_bad_targets(options), *_caller_chosen_transfers(options)]
    if not problems:
        problems = [*_unreachable(options), *_loops(options), *_dead_ends(options)]
    return [*problems, *_clashing_samples(options), *_impossible_cases(options)]


def find_misfits(
    options: "ScriptOptions", variables: Collection[str], transfer_targets: Collection[str]
) -> list[str]:
    """Names in the script that its agent does not know."""
    known = {"value", *options.variables, *variables, *_variables_from_callers(options)}
    problems = []
    for where, text in _texts(options.model_dump(exclude_defaults=True)):
        for name in sorted(variables_in(text) - known):
            problems.append(f"{where}: there is no variable {name!r}{_nearest(name, known)}")
    for where, transfer in _transfers(options):
        target = transfer.to or ""
        if not variables_in(target) and not _NUMBER.fullmatch(target):
            if target and target not in transfer_targets:
                near = _nearest(target, transfer_targets)
                problems.append(f"{where}.to: call.transfer_to has no {target!r}{near}")
            elif not target and not transfer_targets:
                problems.append(f"{where}: needs `to`, or a number in call.transfer_to")
    return problems


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
            near = _nearest(str(target), options.states)
            yield f"{where}: there is no state {target!r}{near}"


def _nearest(target: str, known: Collection[str]) -> str:
    near = process.extractOne(target, list(known), scorer=fuzz.ratio, score_cutoff=60)
    if near is not None:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(known)}" if known else ""


def _texts(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{where}.{index}")


def _transfers(options: "ScriptOptions") -> Iterator[tuple[str, Transfer]]:
    for where, action in _all_actions(options):
        if action.transfer is not None:
            yield f"{where}.transfer", action.transfer
    for name, state in options.states.items():
        if state.transfer is not None:
            yield f"states.{name}.transfer", state.transfer


def _caller_chosen_transfers(options: "ScriptOptions") -> Iterator[str]:
    """A call must never be handed to a number that the caller dictated."""
    heard = _variables_from_callers(options)
    for where, transfer in _transfers(options):
        for name in sorted(variables_in(transfer.to or "")):
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


def _impossible_cases(options: "ScriptOptions") -> Iterator[str]:
    """Cases of a switch on a slot that the slot can never have."""
    answers: dict[str, set[str]] = {}
    open_slots: set[str] = set()
    for state in options.states.values():
        for name, slot in state.slots.items():
            if slot.type in ("choice", "yesno"):
                answers.setdefault(name, set()).update(slot.choices or ("yes", "no"))
            else:
                open_slots.add(name)
    for where, action in _all_actions(options):
        switch = action.switch
        if switch is None or switch.on not in answers or switch.on in open_slots:
            continue
        for case in switch.cases:
            if case and case not in answers[switch.on]:
                near = _nearest(case, sorted(answers[switch.on]))
                yield f"{where}.switch.cases: {switch.on} is never {case!r}{near}"
