"""The worked example and the shipped agents are loaded and called."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.script.engine import Dialogue, Reply
from services.script.model import Action, Intent, ScriptModel, Slot, State, Switch, Transfer
from services.script.options import ScriptOptions

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "script.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BUILT_IN = ("agent_name", "caller_number", "called_number")


def worked_example() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(next(e for e in EXAMPLES if "dentist" in e))
    return data


def shipped(name: str) -> dict[str, Any]:
    text = (ROOT / "agent_configs" / name).read_text()
    data: dict[str, Any] = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    return data


def start(agent: dict[str, Any]) -> Dialogue:
    options = ScriptOptions.model_validate(agent["llm"]["script"])
    misfits = options.problems_with(
        variables=[*BUILT_IN, *agent.get("variables", {})],
        transfer_targets=agent["call"]["transfer_to"],
    )
    assert misfits == []
    return Dialogue(options, agent.get("variables"), agent["language"], opening=agent["greeting"])


def answer(talk: Dialogue, caller: str) -> Reply:
    if caller.startswith("presses "):
        replies = [talk.on_digit(key) for key in caller.removeprefix("presses ")]
        assert replies[-1] is not None
        return replies[-1]
    return talk.on_text(caller)


def test_the_call_in_the_page_goes_as_told() -> None:
    rows = re.findall(r"^\| (\*.+?\*|presses \d) \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 6
    talk = start(worked_example())
    for caller, agent in rows:
        reply = answer(talk, caller.strip("*"))
        assert reply.text == agent
    assert reply.end
    assert talk.collected == {"phone": "9876543210", "day": "Monday", "first": "yes"}


@pytest.mark.parametrize("model", [Action, Intent, Slot, State, Transfer, Switch, ScriptOptions])
def test_every_option_is_documented(model: type[ScriptModel]) -> None:
    of_every_provider = {"base_url", "language"}
    for name in set(model.model_fields) - of_every_provider:
        assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", PAGE), name


def test_every_example_is_yaml() -> None:
    assert len(EXAMPLES) >= 3
    for example in EXAMPLES:
        yaml.safe_load(example)


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (["um what are your opening hours please"], "nine in the morning"),
        (["where are you located"], "Lake Road"),
        (["opening hours", "say that again"], "nine in the morning"),
        (["leave my number", "presses 9876543210", "yes"], "9 8 7 6 5, 4 3 2 1 0"),
        (["call me back at 98765 43210", "haan", "no thank you"], "Goodbye"),
        (["i want to talk to a person"], "connect you"),
        (["presses 0"], "connect you"),
        (["bye bye"], "Goodbye"),
    ],
)
def test_the_receptionist(caller: list[str], expected: str) -> None:
    talk = start(shipped("default_agent.json"))
    replies = [answer(talk, said) for said in caller]
    assert expected in replies[-1].text


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (["presses 1", "presses 2"], "धान का भाव"),
        (["मंडी का भाव बताइए", "गेहूं"], "गेहूँ का भाव"),
        (["presses 2"], "बारिश"),
        (["आज मौसम कैसा रहेगा", "presses 9"], "बारिश"),
        (["presses 3", "नौ आठ सात छह पाँच", "चार तीन दो एक शून्य", "हाँ जी", "ढाई"], "दर्ज"),
        (["दो दबाया"], "बारिश"),
        (["मुझे अधिकारी से बात करनी है"], "अधिकारी"),
        (["बस इतना ही"], "धन्यवाद"),
    ],
)
def test_the_farmers_helpline(caller: list[str], expected: str) -> None:
    talk = start(shipped("helpline_hi.yaml"))
    replies = [answer(talk, said) for said in caller]
    assert expected in replies[-1].text


@pytest.mark.parametrize("name", ["default_agent.json", "helpline_hi.yaml"])
def test_every_phrase_of_a_shipped_agent_is_understood_where_it_belongs(name: str) -> None:
    options = ScriptOptions.model_validate(shipped(name)["llm"]["script"])
    for intent_name, intent in options.intents.items():
        for sample in intent.samples:
            said = sample.replace("{phone}", "9876543210")
            assert start(shipped(name)).on_text(said).intent == intent_name, sample
