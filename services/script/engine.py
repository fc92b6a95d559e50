"""The dialogue itself: what was said or keyed goes in, what to reply comes out.

No I/O, no clock, no randomness and no Pipecat: the same inputs give the same replies. Who
uses this module decides when a silence is a silence and when keying has stopped.
"""

from collections.abc import Mapping

from config.languages import resolve_language
from config.phrases import phrases_for
from services.script.fields import KEYED_TYPES, Phrase, phrase_in, placeholders_in
from services.script.form import Form, Outcome
from services.script.matching import Match, PhraseMatcher
from services.script.model import Action, Intent, Slot, State, Transfer
from services.script.numbers import lone_digit
from services.script.options import ScriptOptions
from services.script.reply import Reply, TransferRequest, Turn
from services.script.stock import no_input_steps, stock_phrases
from services.script.template import fill, fill_spoken
from services.script.text import tokens
from services.script.yesno import only_yes_or_no

__all__ = ["Dialogue", "Reply", "TransferRequest"]

#: Where an answer is open, an intent must be as good as said word by word.
SURE = 90.0
#: Guards against a switch that leads in a circle.
MAX_HOPS = 20
_SPELLED_TYPES = frozenset({"digit", "digits", "phone"})
_CONTACT = ("caller_number", "called_number")


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
        language: str = "en-IN",
        opening: str = "",
        waiting: str = "",
        farewell: str = "",
    ) -> None:
        self._options = options
        self.change_language(language, waiting=waiting, farewell=farewell)
        self._given = {**options.variables, **(variables or {})}
        self._values: dict[str, str] = dict(self._given)
        self._collected: dict[str, str] = {}
        self._spelled: set[str] = set(_CONTACT)
        self._shared_matcher = PhraseMatcher({n: i.samples for n, i in options.intents.items()})
        self._matchers: dict[str, PhraseMatcher] = {}
        self._state_name = options.first_state
        self._form: Form | None = None
        self._history: list[str] = []
        self._last_said = opening
        self._started = False
        self._entered = 0
        self._misses = 0
        self._silences = 0
        self._final: tuple[bool, TransferRequest | None] | None = None

    def change_language(self, language: str, *, waiting: str = "", farewell: str = "") -> None:
        """Speak ``language`` from now on; a text that the script lacks in it stays as it is."""
        default = phrases_for(resolve_language(language))
        self._language = language
        self._stock = stock_phrases(language)
        self._farewell = farewell or default.farewell
        self._no_input = no_input_steps(waiting or default.no_input, self._farewell)

    def claims(self, digit: str) -> bool:
        """Whether a key does something here: a menu has it, or a number may be keyed in."""
        keying = self._form is not None and self._form.keys_awaited > 0
        return keying or self._key_action(digit) is not None

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
        return self._form is not None and bool(self._form.keys)

    def start(self) -> Reply | None:
        """Enter the first state; None if it has nothing to say or was entered before."""
        if self._started:
            return None
        self._started = True
        turn = Turn()
        self._enter(self._options.first_state, turn)
        return self._reply(turn) if turn.parts or turn.is_final else None

    def on_text(self, text: str) -> Reply:
        """Answer what the caller said (or typed)."""
        turn = self._begin()
        self._values["heard"] = text.strip()
        if not tokens(text):
            self._not_understood(turn)
        elif self._form is None:
            self._answer_in_state(text, turn)
        else:
            self._answer_question(self._form, text, turn)
        return self._reply(turn)

    def on_digit(self, digit: str) -> Reply | None:
        """Take one key of the keypad; None while a number is being keyed in."""
        turn = self._begin()
        outcome = self._form.press(digit) if self._form is not None else "menu"
        if outcome == "collecting":
            return None
        if outcome == "menu":
            self._press(digit, turn)
        else:
            self._go_on(outcome, turn)
        return self._reply(turn)

    def on_digits_end(self) -> Reply | None:
        """Take what was keyed in as complete; None if nothing was."""
        if self._form is None or not self._form.keys:
            return None
        turn = self._begin()
        self._go_on(self._form.end_keys(), turn)
        return self._reply(turn)

    def on_no_input(self) -> Reply:
        """The caller has been silent for long."""
        self._begin_silently()
        if self._final is not None:
            end, transfer = self._final
            return Reply(text="", state=self._state_name, end=end, transfer=transfer)
        keyed = self.on_digits_end()
        if keyed is not None:
            return keyed
        self._silences += 1
        turn = Turn(remember=False)
        steps = self._state.no_input or self._options.no_input or self._no_input
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

    def _begin(self) -> Turn:
        self._begin_silently()
        self._silences = 0
        return Turn()

    def _begin_silently(self) -> None:
        """Enter the first state without its words: the greeting was heard in their place."""
        if self._started:
            return
        self._started = True
        if self._state.slots:
            self._form = self._new_form(self._state)
            self._form.advance({})

    # What the caller may mean

    def _answer_in_state(self, text: str, turn: Turn) -> None:
        if self._follow_intent(self._find_intent(text), turn):
            return
        digit = lone_digit(text)
        if digit is not None and self._key_action(digit) is not None:
            self._press(digit, turn)
        else:
            self._not_understood(turn)

    def _answer_question(self, form: Form, text: str, turn: Turn) -> None:
        found = self._find_intent(text)
        if found is not None and _is_rather_intent(form, text, found[0].score):
            self._follow_intent(found, turn)
            return
        outcome = form.hear(text)
        if outcome != "unclear" or not self._follow_intent(found, turn):
            self._go_on(outcome, turn)

    def _find_intent(self, text: str) -> tuple[Match, Intent] | None:
        intents, name, threshold = self._state.intents, self._state_name, self._options.threshold
        if name not in self._matchers:
            self._matchers[name] = PhraseMatcher({n: i.samples for n, i in intents.items()})
        local = self._matchers[name].best(text, threshold)
        shared = self._shared_matcher.best(text, threshold)
        if local is not None and (shared is None or local.score >= shared.score):
            return local, intents[local.name]
        return (shared, self._options.intents[shared.name]) if shared is not None else None

    def _follow_intent(self, found: tuple[Match, Intent] | None, turn: Turn) -> bool:
        if found is None:
            return False
        match, intent = found
        self._misses = 0
        turn.intent = match.name
        turn.captured = dict(match.captured)
        types = {name: kind for sample in intent.samples for kind, name in placeholders_in(sample)}
        for name, value in match.captured.items():
            self._store(name, value, spelled=types[name] in _SPELLED_TYPES)
        self._act_beside_question(intent, turn)
        return True

    def _key_action(self, digit: str) -> Action | None:
        return self._state.keys.get(digit) or self._options.keys.get(digit)

    def _press(self, digit: str, turn: Turn) -> None:
        action = self._key_action(digit)
        if action is None:
            self._not_understood(turn)
            return
        self._misses = 0
        turn.intent = f"key:{digit}"
        self._act_beside_question(action, turn)

    def _act_beside_question(self, action: Action, turn: Turn) -> None:
        """Act; a question that is still open is asked again after an answer."""
        entered = self._entered
        self._act(action, turn)
        if self._form is not None and entered == self._entered and not turn.is_final:
            self._ask(self._form, turn)

    def _not_understood(self, turn: Turn) -> None:
        if self._final is not None:
            turn.end, turn.transfer = self._final
        elif self._form is not None:
            self._retry(self._form, turn, apologise=True)
        else:
            self._misses += 1
            turn.remember = False
            steps = self._state.no_match or self._options.no_match or self._stock.no_match
            self._step(steps, self._misses, turn)

    def _step(self, steps: tuple[Action, ...], count: int, turn: Turn) -> None:
        self._act_beside_question(steps[min(count, len(steps)) - 1], turn)

    # Questions

    def _new_form(self, state: State) -> Form:
        return Form(state.slots, self._options.threshold, self._store_slot)

    def _store_slot(self, name: str, slot: Slot, value: str) -> None:
        self._misses = 0
        self._store(name, value, spelled=slot.type in _SPELLED_TYPES)

    def _go_on(self, outcome: Outcome, turn: Turn) -> None:
        form = self._form
        assert form is not None
        if outcome == "filled":
            self._next_question(form, turn)
        elif outcome == "confirm":
            self._ask(form, turn)
        elif outcome == "more":
            turn.remember = False
            turn.parts.append(self._stock.go_on)
        elif outcome == "unclear" and self._final is not None:
            turn.end, turn.transfer = self._final
        else:
            self._retry(form, turn, apologise=outcome == "unclear")

    def _next_question(self, form: Form, turn: Turn) -> None:
        if form.advance(turn.captured) != "done":
            self._ask(form, turn)
            return
        self._form = None
        final = self._state.final
        if final is not None:
            self._act(final, turn)

    def _ask(self, form: Form, turn: Turn) -> None:
        if form.pending is None:
            self._say(form.slot.prompt, turn)
            return
        slot = form.slot
        asked = self._stock.confirm if isinstance(slot.confirm, bool) else slot.confirm
        is_spelled = slot.type in _SPELLED_TYPES
        spelled = self._spelled | {"value"} if is_spelled else self._spelled
        values = {**self._values, "value": form.pending}
        turn.parts.append(fill_spoken(phrase_in(asked, self._language), values, spelled))

    def _retry(self, form: Form, turn: Turn, *, apologise: bool) -> None:
        slot = form.slot
        if not form.attempts_left():
            self._give_up(form, turn)
        elif apologise and slot.reprompt and form.pending is None:
            self._say(slot.reprompt[min(form.tries, len(slot.reprompt)) - 1], turn)
        else:
            if apologise:
                turn.parts.append(self._stock.sorry)
            self._ask(form, turn)

    def _give_up(self, form: Form, turn: Turn) -> None:
        self._collected.pop(form.name, None)
        self._form = None
        stock = Action(say=self._stock.failed, goto=self._options.first_state)
        self._act(form.slot.failed or self._options.failed or stock, turn)

    # Doing what the script says

    def _enter(self, name: str, turn: Turn) -> None:
        turn.hops += 1
        if turn.hops > MAX_HOPS:
            return
        if name != self._state_name:
            self._history = [*self._history[-MAX_HOPS:], self._state_name]
        self._state_name = name
        self._entered += 1
        state = self._state
        self._form = self._new_form(state) if state.slots else None
        if state.say is not None:
            self._say(state.say, turn)
        if self._form is not None:
            self._next_question(self._form, turn)
        elif state.final is not None:
            self._act(state.final, turn)

    def _act(self, action: Action, turn: Turn) -> None:
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
            turn.end = True
            if not turn.parts:
                self._say(self._farewell, turn)
        elif action.switch is not None:
            value = self._values.get(action.switch.on, "")
            chosen = action.switch.cases.get(value) or action.switch.default
            if chosen is not None:
                self._act(chosen, turn)

    def _go_back(self, turn: Turn) -> None:
        target = self._history.pop() if self._history else self._options.first_state
        kept = list(self._history)
        self._enter(target, turn)
        self._history = kept

    def _repeat(self, turn: Turn) -> None:
        turn.remember = False
        if self._form is not None:
            return  # the open question follows by itself
        if self._last_said:
            turn.parts.append(self._last_said)
        elif self._state.say is not None:
            self._say(self._state.say, turn)

    def _transfer(self, transfer: Transfer, turn: Turn) -> None:
        if transfer.say is not None:
            self._say(transfer.say, turn)
        if not turn.parts:
            turn.parts.append(self._stock.transfer)
        target = fill(transfer.to, self._given).strip() if transfer.to else ""
        turn.transfer = TransferRequest(target=target or None, reason=transfer.reason)

    def _say(self, phrase: Phrase, turn: Turn) -> None:
        text = fill_spoken(phrase_in(phrase, self._language), self._values, self._spelled)
        if text:
            turn.parts.append(text)

    def _store(self, name: str, value: str, *, spelled: bool) -> None:
        self._values[name] = value
        self._collected[name] = value
        (self._spelled.add if spelled else self._spelled.discard)(name)

    def _reply(self, turn: Turn) -> Reply:
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

    def _keys_awaited(self) -> int:
        of_form = self._form.keys_awaited if self._form is not None else 0
        return max(of_form, 1 if self._state.keys or self._options.keys else 0)


def _is_rather_intent(form: Form, text: str, score: float) -> bool:
    """Whether the answer to a question is nearer to an intent than to the question."""
    if form.pending is None and form.slot.type == "choice":
        return score > form.choice_score(text)
    if form.pending is None and form.slot.type in KEYED_TYPES:
        return False
    if form.offers_value(text) or only_yes_or_no(tokens(text)):
        return False
    return score >= SURE
