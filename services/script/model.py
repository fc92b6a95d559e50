"""The building blocks of a scripted dialogue: phrases, actions, intents, slots, states.

These are what an operator writes under ``llm.script`` of an agent file. Shorthand is
expanded here, so that the engine sees one shape: a bare state name where an action is
wanted is a ``goto``, a bare text in ``no_match`` or ``no_input`` is a ``say``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.script.fields import (
    KEYPAD_KEYS,
    Name,
    Phrase,
    Sample,
    SlotType,
    as_case_names,
    as_choices,
    as_list,
    as_phrase,
    is_language_tag,
)


class ScriptModel(BaseModel):
    """Base of all parts: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Transfer(ScriptModel):
    """Hand the call to a person.

    ``transfer: "+911234567890"`` is short for ``transfer: {to: "+911234567890"}``, and
    ``transfer: true`` leaves the target to the agent's own setting.
    """

    to: str | None = Field(
        default=None,
        min_length=1,
        description="Telephone number or SIP address; without it the agent's own target.",
    )
    reason: str | None = Field(default=None, description="Told to the backend; not spoken.")
    say: Phrase | None = Field(default=None, description="Spoken before the call is handed over.")


def _transfer(value: Any) -> Any:
    if value is True:
        return {}
    if isinstance(value, str):
        return {"to": value}
    if value is False:
        raise ValueError("`transfer: false` does nothing; leave it out")
    return value


def _goto(value: Any) -> Any:
    return {"goto": value} if isinstance(value, str) else value


def _step(value: Any) -> Any:
    is_text = isinstance(value, str) or (
        isinstance(value, Mapping)
        and bool(value)
        and all(is_language_tag(tag) for tag in value)
        and not set(value) & set(Action.model_fields)
    )
    return {"say": value} if is_text else value


class Action(ScriptModel):
    """What happens when a key is pressed, an intent is heard or a count is reached.

    First ``set``, then ``say``, then one of ``goto``, ``back``, ``repeat``, ``transfer``,
    ``end`` and ``switch``. With none of these the dialogue stays where it is and listens.
    """

    say: Phrase | None = Field(default=None, description="Text to speak.")
    set: dict[Name, str] = Field(
        default_factory=dict, description="Variables to set; values may use {{variable}}."
    )
    goto: str | None = Field(default=None, description="State to enter next.")
    back: bool = Field(default=False, description="Return to the state before this one.")
    repeat: bool = Field(default=False, description="Say the last prompt or answer again.")
    transfer: Annotated[
        Transfer | None,
        BeforeValidator(_transfer, json_schema_input_type=Transfer | str | bool | None),
    ] = Field(default=None, description="Hand the call to a person.")
    end: bool = Field(default=False, description="End the call once everything was heard.")
    switch: "Switch | None" = Field(default=None, description="Go on by a variable's value.")

    @property
    def moves(self) -> tuple[str, ...]:
        """Names of the fields that say where the dialogue goes; at most one."""
        names = ("goto", "back", "repeat", "transfer", "end", "switch")
        return tuple(name for name in names if getattr(self, name))

    @model_validator(mode="after")
    def _check(self) -> Self:
        moves = self.moves
        if len(moves) > 1:
            raise ValueError(f"give only one of {' and '.join(f'`{m}`' for m in moves)}")
        if not (moves or self.say or self.set):
            raise ValueError(
                "does nothing: give it `say`, `set`, `goto`, `back`, `repeat`, `transfer`, "
                "`end` or `switch`"
            )
        return self


Go = Annotated[Action, BeforeValidator(_goto, json_schema_input_type=Action | str)]
"""An action; a bare text is the name of the state to enter."""

Step = Annotated[Action, BeforeValidator(_step, json_schema_input_type=Action | str)]
"""An action; a bare text is spoken."""

Steps = Annotated[
    tuple[Step, ...],
    BeforeValidator(as_list, json_schema_input_type=list[Step] | Step),
    Field(min_length=1),
]
"""What to do the first, second, … time in a row; the last serves for all further times."""


class Switch(ScriptModel):
    """Chooses an action by the value of a variable."""

    on: Name = Field(description="Name of the variable.")
    cases: Annotated[dict[str, Go], BeforeValidator(as_case_names), Field(min_length=1)]
    default: Go | None = Field(default=None, description="When no case is the variable's value.")

    @model_validator(mode="before")
    @classmethod
    def _unquoted_on(cls, data: Any) -> Any:
        # YAML 1.1 reads the bare key `on` as true.
        if isinstance(data, Mapping) and True in data and "on" not in data:
            return {("on" if k is True else k): v for k, v in data.items()}
        return data


class Intent(Action):
    """Something a caller may want, told by examples of how they may say it."""

    samples: tuple[Sample, ...] = Field(
        min_length=1,
        description="Example phrases; {digits} {digit} {number} {phone} {yesno} are captured.",
    )


def _confirm(value: Any) -> Any:
    return value if isinstance(value, bool) else as_phrase(value)


class Slot(ScriptModel):
    """One thing to ask the caller for, by voice or keypad."""

    type: SlotType
    prompt: Phrase = Field(description="The question.")
    reprompt: Annotated[
        tuple[Phrase, ...],
        BeforeValidator(
            as_list, json_schema_input_type=list[str | dict[str, str]] | str | dict[str, str]
        ),
    ] = Field(default=(), description="The question after the first, second, … failure.")
    retries: int = Field(default=2, ge=0, le=10, description="Further attempts after the first.")
    confirm: Annotated[
        bool | str | dict[str, str],
        BeforeValidator(_confirm, json_schema_input_type=bool | str | dict[str, str]),
    ] = Field(default=False, description="Ask back: true for a stock question, or the question.")
    failed: Go | None = Field(default=None, description="When the attempts are used up.")
    length: int | None = Field(default=None, ge=1, le=32, description="Exact number of digits.")
    min_length: int | None = Field(default=None, ge=1, le=32, description="Fewest digits.")
    max_length: int | None = Field(default=None, ge=1, le=32, description="Most digits.")
    min: float | None = Field(default=None, description="Smallest number accepted.")
    max: float | None = Field(default=None, description="Largest number accepted.")
    choices: Annotated[
        dict[str, tuple[Sample, ...]],
        BeforeValidator(
            as_choices, json_schema_input_type=dict[str, list[str] | str | None] | list[str]
        ),
    ] = Field(default_factory=dict, description="Values and how callers say them.")

    @property
    def digit_range(self) -> tuple[int, int]:
        """Fewest and most digits that make a value."""
        if self.type == "digit":
            return 1, 1
        if self.type == "phone":
            return 10, 13
        low = self.length or self.min_length or 1
        return low, self.length or self.max_length or max(low, 32)

    @model_validator(mode="after")
    def _check(self) -> Self:
        sized = [n for n in ("length", "min_length", "max_length") if getattr(self, n) is not None]
        if sized and self.type != "digits":
            raise ValueError(f"`{sized[0]}` is only for slots of type digits")
        if self.length is not None and len(sized) > 1:
            raise ValueError(f"give either `length` or `{sized[1]}`")
        if self.min_length and self.max_length and self.min_length > self.max_length:
            raise ValueError("`min_length` is above `max_length`")
        if (self.min is not None or self.max is not None) and self.type != "number":
            raise ValueError("`min` and `max` are only for slots of type number")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`")
        if self.type == "choice" and len(self.choices) < 2:
            raise ValueError("a slot of type choice needs at least two `choices`")
        if self.choices and self.type != "choice":
            raise ValueError("`choices` are only for slots of type choice")
        return self


def _keys(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    keys: dict[str, Any] = {}
    for key, action in value.items():
        name = str(key).strip() if not isinstance(key, bool) else repr(key)
        if len(name) != 1 or name not in KEYPAD_KEYS:
            raise ValueError(f"{key!r} is not a key; there are 0 to 9, * and #")
        if name in keys:
            raise ValueError(f"key {name!r} is given twice")
        keys[name] = action
    return keys


Keys = Annotated[dict[str, Go], BeforeValidator(_keys)]


class State(ScriptModel):
    """One place in the dialogue: what is said on entering, and what the caller may do."""

    say: Phrase | None = Field(default=None, description="Spoken when the state is entered.")
    slots: dict[Name, Slot] = Field(
        default_factory=dict, description="Asked in order; each becomes a variable."
    )
    then: Go | None = Field(default=None, description="After `say` and `slots`, without waiting.")
    keys: Keys = Field(default_factory=dict, description="Keypad key to action.")
    intents: dict[Name, Intent] = Field(default_factory=dict)
    no_match: Steps | None = Field(default=None, description="When nothing fits what was said.")
    no_input: Steps | None = Field(default=None, description="When nothing was said.")
    transfer: Annotated[
        Transfer | None,
        BeforeValidator(_transfer, json_schema_input_type=Transfer | str | bool | None),
    ] = Field(default=None, description="Hand the call to a person.")
    end: bool = Field(default=False, description="End the call once everything was heard.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        ways = [n for n in ("then", "transfer", "end") if getattr(self, n)]
        if len(ways) > 1:
            raise ValueError(f"give only one of {' and '.join(f'`{w}`' for w in ways)}")
        if self.slots and not ways:
            raise ValueError("a state with `slots` needs `then`, `transfer` or `end`")
        if ways and not self.slots and (self.keys or self.intents):
            raise ValueError(
                f"`{ways[0]}` happens at once, so the `keys` and `intents` are never used; "
                "move it into an action"
            )
        return self

    @property
    def final(self) -> Action | None:
        """What follows ``say`` and ``slots``; None where the state waits for the caller."""
        if self.then is not None:
            return self.then
        if self.transfer is not None:
            return Action(transfer=self.transfer)
        return Action(end=True) if self.end else None


Action.model_rebuild()
