"""``llm.script`` of an agent file: a whole dialogue, checked as one piece.

>>> options = ScriptOptions.model_validate(
...     {
...         "states": {
...             "main": {
...                 "say": "Say hours, or press 1.",
...                 "keys": {"1": {"say": "We open at nine.", "end": True}},
...             }
...         }
...     }
... )
>>> options.first_state
'main'
"""

from collections.abc import Collection, Iterator
from typing import Self

from pydantic import Field, model_validator

from config.problems import PlacedErrors
from config.providers import ProviderOptions
from services.script.check import find_misfits, find_problems
from services.script.fields import Name, bare_sample
from services.script.model import Intent, Keys, Slot, State, Step, Steps

__all__ = ["ScriptOptions"]


class ScriptOptions(ProviderOptions):
    """A scripted dialogue: states, and what is understood in all of them."""

    start: str | None = Field(
        default=None, description="State the call begins in; the first one if not given."
    )
    states: dict[Name, State] = Field(min_length=1, description="Places in the dialogue.")
    intents: dict[Name, Intent] = Field(
        default_factory=dict, description="Understood in every state."
    )
    keys: Keys = Field(default_factory=dict, description="Keypad keys that work in every state.")
    no_match: Steps | None = Field(
        default=None, description="For states without their own `no_match`."
    )
    no_input: Steps | None = Field(
        default=None, description="For states without their own `no_input`."
    )
    failed: Step | None = Field(
        default=None, description="When a slot without its own `failed` was tried too often."
    )
    variables: dict[Name, str] = Field(
        default_factory=dict, description="First values; the agent's own variables win."
    )
    threshold: int = Field(
        default=70, ge=50, le=100, description="How sure a match must be, in percent."
    )
    key_timeout_seconds: float = Field(
        default=3.0, gt=0, le=15, description="A pause this long ends a number being keyed in."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = find_problems(self)
        if problems:
            raise PlacedErrors(problems)
        return self

    @property
    def first_state(self) -> str:
        """The state in which a call begins."""
        return self.start or next(iter(self.states))

    def vocabulary(self) -> tuple[str, ...]:
        """Every phrase a caller could usefully say, in the order written, each once.

        Phrases may hold ``{digits}``, ``{digit}``, ``{number}``, ``{phone}`` and ``{yesno}``,
        which stand for any spoken value of that type. Slots of type text add nothing: a
        recogniser with a closed vocabulary cannot hear them.
        """
        phrases = [bare_sample(s) for intent in self._all_intents() for s in intent.samples]
        if self.keys or any(state.keys for state in self.states.values()):
            phrases.append("{digit}")
        for state in self.states.values():
            for slot in state.slots.values():
                phrases.extend(_slot_phrases(slot))
        return tuple(dict.fromkeys(phrases))

    def problems_with(
        self, *, variables: Collection[str], transfer_targets: Collection[str]
    ) -> list[str]:
        """What in this script does not fit its agent; empty if all does.

        Args:
            variables: Names that ``{{name}}`` may use besides the script's own.
            transfer_targets: Names in the agent's ``call.transfer_to``.
        """
        return find_misfits(self, variables, transfer_targets)

    def _all_intents(self) -> Iterator[Intent]:
        yield from self.intents.values()
        for state in self.states.values():
            yield from state.intents.values()


def _slot_phrases(slot: Slot) -> Iterator[str]:
    if slot.type == "choice":
        for samples in slot.choices.values():
            yield from map(bare_sample, samples)
    elif slot.type != "text":
        yield "{" + slot.type + "}"
    if slot.confirm:
        yield "{yesno}"
