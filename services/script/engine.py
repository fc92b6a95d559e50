"""The dialogue itself: what was said or keyed goes in, what to reply comes out.

No I/O, no clock, no randomness and no Pipecat: the same inputs give the same replies. The
caller of this module decides when a silence is a silence and when keying has stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.languages import resolve_language
from config.phrases import phrases_for
from services.script.matching import Match, PhraseMatcher
from services.script.model import (
    KEYED_TYPES,
    Action,
    Intent,
    Phrase,
    Slot,
    State,
    Transfer,
    phrase_in,
    placeholders_in,
)
from services.script.numbers import lone_digit, spoken_digits
from services.script.options import ScriptOptions
from services.script.slots import (
    keys_awaited,
    keys_complete,
    may_continue,
    read_digits,
    read_keys,
    read_speech,
)
from services.script.stock import no_input_steps, stock_phrases
from services.script.template import fill, fill_spoken
from services.script.text import tokens
from services.script.yesno import only_yes_or_no, yes_or_no

#: A free text is taken for an intent only when the intent is as good as said word by word.
SURE = 90.0
#: Guards against a switch that leads in a circle.
MAX_HOPS = 20
_SPELLED_TYPES = frozenset({"digit", "digits", "phone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """Hand the call to a person; ``target`` None means the agent's own."""

    target: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to say and do next.

    Attributes:
        text: To be spoken; empty where only ``end`` or ``transfer`` is left to do.
        state: State the dialogue is now in.
        intent: Name of the intent that was understood, or ``key:1``; None otherwise.
        end: End the call once ``text`` was heard.
        transfer: Hand the call over once ``text`` was heard.
        wait_for_digits: How many keys may come at most before the dialogue goes on; 0 where
            the keypad does nothing, 1 in a menu.
    """

    text: str
    state: str
    intent: str | None = None
    end: bool = False
    transfer: TransferRequest | None = None
    wait_for_digits: int = 0


@dataclass(slots=True)
class _Turn:
    """What one input leads to, while it is being worked out."""

    parts: list[str] = field(default_factory=list)
    captured: dict[str, str] = field(default_factory=dict)
    intent: str | None = None
    end: bool = False
    transfer: TransferRequest | None = None
    remember: bool = True
    hops: int = 0

    @property
    def is_final(self) -> bool:
        return self.end or self.transfer is not None


class Dialogue:
    """One call's way through a script.

    Args:
        options: The script.
        variables: The agent's and the call's variables, for ``{{name}}``.
        language: Code of the language to speak, for texts given per language.
        opening: What the caller has already heard, such as the agent's greeting; it is what
            ``repeat`` says before the first reply.
        waiting: Asks a silent caller, where the script has no ``no_input``.
        farewell: Said by an ``end`` without words of its own.
    """

    def __init__(
        self,
        options: ScriptOptions,
        variables: Mapping[str, str] | None = None,
        language: str = "en",
        opening: str = "",
        waiting: str = "",
        farewell: str = "",
    ) -> None:
        self._options = options
        self._language = language
        self._stock = stock_phrases(language)
        default = phrases_for(resolve_language(language))
        self._farewell = farewell or default.farewell
        self._no_input = no_input_steps(waiting or default.no_input, self._farewell)
        self._given = {**options.variables, **(variables or {})}
        self._values: dict[str, str] = dict(self._given)
        self._collected: dict[str, str] = {}
        self._spelled: set[str] = set()
        self._shared_matcher = PhraseMatcher({n: i.samples for n, i in options.intents.items()})
        self._matchers: dict[str, PhraseMatcher] = {}
        self._state_name = options.first_state
        self._history: list[str] = []
        self._last_said = opening
        self._started = False
        self._entered = 0
        self._misses = 0
        self._silences = 0
        self._todo: list[str] = []
        self._slot_name: str | None = None
        self._tries = 0
        self._pending: str | None = None
        self._keys = ""
        self._partial = ""
        self._final: tuple[bool, TransferRequest | None] | None = None

    @property
    def state(self) -> str:
        """Name of the state the dialogue is in."""
        return self._state_name

    @property
    def collected(self) -> dict[str, str]:
        """What the caller told (slots, placeholders) and what the script set, by name."""
        return dict(self._collected)

    @property
    def awaits_more_keys(self) -> bool:
        """Whether keys were pressed that :meth:`on_digits_end` would turn into a value."""
        return bool(self._keys)

    def start(self) -> Reply | None:
        """Enter the first state; None if it has nothing to say or was entered before."""
        if self._started:
            return None
        self._started = True
        turn = _Turn()
        self._enter(self._options.first_state, turn)
        return self._reply(turn) if turn.parts or turn.is_final else None

    def on_text(self, text: str) -> Reply:
        """Answer what the caller said (or typed)."""
        turn = self._begin()
        self._keys = ""
        self._values["heard"] = text.strip()
        slot = self._slot
        if not tokens(text):
            self._not_understood(turn)
        elif slot is None:
            self._answer_in_state(text, turn)
        elif self._pending is not None:
            self._answer_confirmation(slot, text, turn)
        else:
            self._answer_slot(slot, text, turn)
        return self._reply(turn)

    def on_digit(self, digit: str) -> Reply | None:
        """Take one key of the keypad; None while a number is being keyed in."""
        turn = self._begin()
        slot = self._slot
        if slot is None:
            self._press(digit, turn)
        elif self._pending is not None:
            self._confirm_by_key(slot, digit, turn)
        elif slot.type in KEYED_TYPES:
            return self._collect(slot, digit, turn)
        else:
            value = read_keys(slot, digit)
            if value is not None:
                self._fill(slot, value, turn)
            else:
                self._press(digit, turn)
        return self._reply(turn)

    def on_digits_end(self) -> Reply | None:
        """Take what was keyed in as complete; None if nothing was."""
        slot, keys = self._slot, self._keys
        if slot is None or not keys:
            return None
        turn = self._begin()
        self._keys = ""
        value = read_keys(slot, keys)
        if value is not None:
            self._fill(slot, value, turn)
        else:
            self._retry(slot, turn, apologise=True)
        return self._reply(turn)

    def on_no_input(self) -> Reply:
        """The caller has been silent for long."""
        self._started = self._started or self._begin_silently()
        if self._final is not None:
            return self._finish_again()
        keyed = self.on_digits_end()
        if keyed is not None:
            return keyed
        self._silences += 1
        turn = _Turn(remember=False)
        state = self._state
        steps = state.no_input or self._options.no_input or self._no_input
        self._step(steps, self._silences, turn)
        return self._reply(turn)

    def on_unrecognized(self) -> Reply:
        """The caller said something that the recogniser could not make out."""
        turn = self._begin()
        self._not_understood(turn)
        return self._reply(turn)

    @property
    def _state(self) -> State:
        return self._options.states[self._state_name]

    @property
    def _slot(self) -> Slot | None:
        return self._state.slots[self._slot_name] if self._slot_name is not None else None

    def _begin(self) -> _Turn:
        self._started = self._started or self._begin_silently()
        self._silences = 0
        return _Turn()

    def _begin_silently(self) -> bool:
        """The caller acts on the greeting: the first state is entered without its words."""
        self._todo = list(self._state.slots)
        self._slot_name = self._todo.pop(0) if self._todo else None
        return True

    # What the caller may mean

    def _answer_in_state(self, text: str, turn: _Turn) -> None:
        if self._follow_intent(self._find_intent(text), turn):
            return
        digit = lone_digit(text)
        if digit is not None and self._key_action(digit) is not None:
            self._press(digit, turn)
        else:
            self._not_understood(turn)

    def _find_intent(self, text: str) -> tuple[Match, Intent] | None:
        state, name, threshold = self._state, self._state_name, self._options.threshold
        if name not in self._matchers:
            self._matchers[name] = PhraseMatcher({n: i.samples for n, i in state.intents.items()})
        local = self._matchers[name].best(text, threshold)
        shared = self._shared_matcher.best(text, threshold)
        if local is not None and (shared is None or local.score >= shared.score):
            return local, state.intents[local.name]
        return (shared, self._options.intents[shared.name]) if shared is not None else None

    def _follow_intent(self, found: tuple[Match, Intent] | None, turn: _Turn) -> bool:
        if found is None:
            return False
        match, intent = found
        self._misses = 0
        turn.intent = match.name
        turn.captured = dict(match.captured)
        types = {name: kind for sample in intent.samples for kind, name in placeholders_in(sample)}
        for name, value in match.captured.items():
            self._store(name, value, spelled=types[name] in _SPELLED_TYPES)
        self._act_beside_slot(intent, turn)
        return True

    def _key_action(self, digit: str) -> Action | None:
        return self._state.keys.get(digit) or self._options.keys.get(digit)

    def _press(self, digit: str, turn: _Turn) -> None:
        action = self._key_action(digit)
        if action is None:
            self._not_understood(turn)
            return
        self._misses = 0
        turn.intent = f"key:{digit}"
        self._act_beside_slot(action, turn)

    def _act_beside_slot(self, action: Action, turn: _Turn) -> None:
        """Act; a question that is still open is asked again after an answer."""
        entered = self._entered
        self._act(action, turn)
        slot = self._slot
        if slot is not None and entered == self._entered and not turn.is_final:
            self._ask_again(slot, turn)

    def _not_understood(self, turn: _Turn) -> None:
        slot = self._slot
        if self._final is not None:
            turn.end, turn.transfer = self._final
        elif slot is not None:
            self._retry(slot, turn, apologise=True)
        else:
            self._misses += 1
            turn.remember = False
            steps = self._state.no_match or self._options.no_match or self._stock.no_match
            self._step(steps, self._misses, turn)

    def _step(self, steps: tuple[Action, ...], count: int, turn: _Turn) -> None:
        self._act_beside_slot(steps[min(count, len(steps)) - 1], turn)

    # Slots

    def _answer_slot(self, slot: Slot, text: str, turn: _Turn) -> None:
        found = self._find_intent(text)
        if slot.type == "text" and found is not None and found[0].score < SURE:
            found = None
        if slot.type == "text" and found is not None and self._follow_intent(found, turn):
            return
        if slot.type in ("choice", "yesno") and self._means_intent(slot, text, found, turn):
            return
        value = read_speech(slot, text, self._options.threshold)
        if value is None:
            value = self._join_partial(slot, text, turn)
            if turn.parts:
                return
        if value is not None:
            self._fill(slot, value, turn)
        elif not self._follow_intent(found, turn):
            self._retry(slot, turn, apologise=True)

    def _means_intent(
        self, slot: Slot, text: str, found: tuple[Match, Intent] | None, turn: _Turn
    ) -> bool:
        """Whether ``text`` is nearer to an intent than to the slot's own answers."""
        if found is None:
            return False
        if slot.type == "yesno" and only_yes_or_no(tokens(text)):
            return False
        if slot.type == "choice":
            choice = PhraseMatcher(slot.choices).best(text, self._options.threshold)
            if choice is not None and choice.score >= found[0].score:
                return False
        return self._follow_intent(found, turn)

    def _join_partial(self, slot: Slot, text: str, turn: _Turn) -> str | None:
        """A number said in pieces: joins them, or asks for the rest."""
        digits = spoken_digits(text)
        joined = self._partial + digits
        self._partial = ""
        value = read_digits(slot, joined) if slot.type in ("digits", "phone") else None
        if value is None and digits and may_continue(slot, joined):
            self._partial = joined
            turn.parts.append(self._stock.go_on)
            turn.remember = False
        return value

    def _fill(self, slot: Slot, value: str, turn: _Turn) -> None:
        assert self._slot_name is not None
        self._misses = 0
        self._partial = ""
        self._store(self._slot_name, value, spelled=slot.type in _SPELLED_TYPES)
        if slot.confirm:
            self._pending = value
            turn.parts.append(self._confirmation(slot, value))
        else:
            self._ask_next(turn)

    def _confirmation(self, slot: Slot, value: str) -> str:
        asked = self._stock.confirm if isinstance(slot.confirm, bool) else slot.confirm
        spelled = self._spelled | ({"value"} if slot.type in _SPELLED_TYPES else set())
        values = {**self._values, "value": value}
        return fill_spoken(phrase_in(asked, self._language), values, spelled)

    def _answer_confirmation(self, slot: Slot, text: str, turn: _Turn) -> None:
        if slot.type not in ("yesno", "text"):
            corrected = read_speech(slot, text, self._options.threshold)
            if corrected is not None and corrected != self._pending:
                self._fill(slot, corrected, turn)
                return
        meant = yes_or_no(tokens(text))
        if meant is not None:
            self._confirm(slot, meant == "yes", turn)
        elif not self._follow_intent(self._find_intent(text), turn):
            self._retry(slot, turn, apologise=True)

    def _confirm_by_key(self, slot: Slot, digit: str, turn: _Turn) -> None:
        if digit in ("1", "#", "2", "*"):
            self._confirm(slot, digit in ("1", "#"), turn)
        else:
            self._press(digit, turn)

    def _confirm(self, slot: Slot, is_right: bool, turn: _Turn) -> None:
        self._pending = None
        if is_right:
            self._ask_next(turn)
        else:
            self._collected.pop(self._slot_name or "", None)
            self._retry(slot, turn, apologise=False)

    def _collect(self, slot: Slot, digit: str, turn: _Turn) -> Reply | None:
        if digit == "*":
            self._keys = ""
            return None
        if digit != "#":
            self._keys += digit
            return self.on_digits_end() if keys_complete(slot, self._keys) else None
        if self._keys:
            return self.on_digits_end()
        self._retry(slot, turn, apologise=True)
        return self._reply(turn)

    def _retry(self, slot: Slot, turn: _Turn, *, apologise: bool) -> None:
        self._tries += 1
        self._partial = ""
        if self._tries > slot.retries:
            self._give_up(slot, turn)
        elif self._pending is not None:
            turn.parts += [self._stock.sorry, self._confirmation(slot, self._pending)]
        elif slot.reprompt:
            self._say(slot.reprompt[min(self._tries, len(slot.reprompt)) - 1], turn)
        else:
            if apologise:
                turn.parts.append(self._stock.sorry)
            self._say(slot.prompt, turn)

    def _give_up(self, slot: Slot, turn: _Turn) -> None:
        if self._slot_name is not None:
            self._collected.pop(self._slot_name, None)
        stock = Action(say=self._stock.failed, goto=self._options.first_state)
        self._leave_slots()
        self._act(slot.failed or self._options.failed or stock, turn)

    def _ask_next(self, turn: _Turn) -> None:
        self._slot_name, self._pending, self._tries = None, None, 0
        while self._todo:
            name = self._todo.pop(0)
            slot = self._state.slots[name]
            if self._told_already(slot, turn.captured.get(name)):
                continue
            self._slot_name = name
            self._say(slot.prompt, turn)
            return
        final = self._state.final
        if final is not None:
            self._act(final, turn)

    def _told_already(self, slot: Slot, value: str | None) -> bool:
        return (
            value is not None
            and not slot.confirm
            and read_speech(slot, value, self._options.threshold) is not None
        )

    def _ask_again(self, slot: Slot, turn: _Turn) -> None:
        if self._pending is not None:
            turn.parts.append(self._confirmation(slot, self._pending))
        else:
            self._say(slot.prompt, turn)

    def _leave_slots(self) -> None:
        self._todo, self._slot_name, self._pending = [], None, None
        self._tries, self._keys, self._partial = 0, "", ""

    # Doing what the script says

    def _enter(self, name: str, turn: _Turn) -> None:
        turn.hops += 1
        if turn.hops > MAX_HOPS:
            return
        if name != self._state_name:
            self._history = [*self._history[-MAX_HOPS:], self._state_name]
        self._leave_slots()
        self._state_name = name
        self._entered += 1
        self._misses = 0
        state = self._state
        if state.say is not None:
            self._say(state.say, turn)
        if state.slots or state.final is not None:
            self._todo = list(state.slots)
            self._ask_next(turn)

    def _act(self, action: Action, turn: _Turn) -> None:
        for name, value in action.set.items():
            self._store(name, fill(value, self._values), spelled=False)
        if action.say is not None:
            self._say(action.say, turn)
        if action.goto is not None:
            self._enter(action.goto, turn)
        elif action.back:
            self._go_back(turn)
        elif action.repeat:
            self._repeat(turn)
        elif action.transfer is not None:
            self._transfer(action.transfer, turn)
        elif action.end:
            self._end(turn)
        elif action.switch is not None:
            value = self._values.get(action.switch.on, "")
            chosen = action.switch.cases.get(value) or action.switch.default
            if chosen is not None:
                self._act(chosen, turn)

    def _go_back(self, turn: _Turn) -> None:
        target = self._history.pop() if self._history else self._options.first_state
        here = self._state_name
        self._enter(target, turn)
        if self._history and self._history[-1] == here:
            self._history.pop()

    def _repeat(self, turn: _Turn) -> None:
        turn.remember = False
        if self._slot is not None:
            return  # the open question follows by itself
        state = self._state
        if self._last_said:
            turn.parts.append(self._last_said)
        elif state.say is not None:
            self._say(state.say, turn)

    def _transfer(self, transfer: Transfer, turn: _Turn) -> None:
        if transfer.say is not None:
            self._say(transfer.say, turn)
        if not turn.parts:
            turn.parts.append(self._stock.transfer)
        target = fill(transfer.to, self._given).strip() if transfer.to else ""
        turn.transfer = TransferRequest(target=target or None, reason=transfer.reason)

    def _end(self, turn: _Turn) -> None:
        if not turn.parts:
            self._say(self._farewell, turn)
        turn.end = True

    def _say(self, phrase: Phrase, turn: _Turn) -> None:
        text = fill_spoken(phrase_in(phrase, self._language), self._values, self._spelled)
        if text:
            turn.parts.append(text)

    def _store(self, name: str, value: str, *, spelled: bool) -> None:
        self._values[name] = value
        self._collected[name] = value
        (self._spelled.add if spelled else self._spelled.discard)(name)

    # Replies

    def _reply(self, turn: _Turn) -> Reply:
        if not turn.parts and not turn.is_final:
            self._repeat(turn)
        text = " ".join(turn.parts)
        if turn.remember and text:
            self._last_said = text
        self._final = (turn.end, turn.transfer) if turn.is_final else None
        return Reply(
            text=text,
            state=self._state_name,
            intent=turn.intent,
            end=turn.end,
            transfer=turn.transfer,
            wait_for_digits=0 if turn.is_final else self._keys_awaited(),
        )

    def _finish_again(self) -> Reply:
        assert self._final is not None
        end, transfer = self._final
        return Reply(text="", state=self._state_name, end=end, transfer=transfer)

    def _keys_awaited(self) -> int:
        slot = self._slot
        if slot is not None and self._pending is None and slot.type in KEYED_TYPES:
            return keys_awaited(slot, self._keys)
        by_key = slot is not None and slot.type in ("yesno", "choice")
        has_keys = bool(self._state.keys or self._options.keys)
        return 1 if by_key or has_keys or self._pending is not None else 0
