import json
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from services.script import SPECS
from services.script.options import ScriptOptions

SMALL = """
states:
  main:
    say: Press 1, or say hours.
    keys: {1: prices}
    intents:
      hours: {samples: [opening hours], say: We open at nine.}
  prices:
    slots:
      crop: {type: choice, prompt: "Which crop?", choices: {wheat: [wheat, gehu], rice: }}
      area: {type: number, prompt: "How many acres?", confirm: true}
      phone: {type: phone, prompt: "Your number?"}
      name: {type: text, prompt: "Your name?"}
    then: main
intents:
  call: {samples: ["call me at {phone:mobile}", opening hours], goto: main}
"""


def load(text: str) -> ScriptOptions:
    return ScriptOptions.model_validate(yaml.safe_load(text))


def problem(text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        load(text)
    error = caught.value.errors()[0]
    return ".".join(map(str, error["loc"])) + ": " + error["msg"]


def test_the_provider_is_declared() -> None:
    (spec,) = SPECS
    assert (spec.kind, spec.name, spec.options) == ("llm", "script", ScriptOptions)
    assert spec.secret_env is None and spec.supports("ta")


def test_vocabulary_lists_each_phrase_once_with_bare_placeholders() -> None:
    assert load(SMALL).vocabulary() == (
        "call me at {phone}",
        "opening hours",
        "{digit}",
        "wheat",
        "gehu",
        "rice",
        "{number}",
        "{yesno}",
        "{phone}",
    )


def test_the_first_state_is_the_start_unless_named() -> None:
    assert load(SMALL).first_state == "main"
    text = "{start: b, states: {a: {end: true}, b: {say: x, keys: {1: a}}}}"
    assert load(text).first_state == "b"


def test_shorthand_is_expanded() -> None:
    options = load(
        "{states: {a: {say: x, keys: {1: b, '*': {transfer: desk}}, no_match: [again, "
        "{hi: फिर, en-IN: again}, {transfer: true}]}, b: {end: true}}}"
    )
    state = options.states["a"]
    assert state.keys["1"].goto == "b"
    transfer = state.keys["*"].transfer
    assert transfer is not None and transfer.to == "desk"
    assert state.no_match is not None
    assert [step.say for step in state.no_match] == ["again", {"hi": "फिर", "en-IN": "again"}, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "states: Field required"),
        ("{states: {}}", "states: Dictionary should have at least 1 item"),
        (
            "{states: {main: {say: x, keys: {1: pices}}, prices: {end: true}}}",
            "states.main.keys.1.goto: there is no state 'pices'; did you mean 'prices'?",
        ),
        ("{start: nowhere, states: {a: {end: true}}}", "start: there is no state 'nowhere'"),
        (
            "{states: {a: {say: x, keys: {1: a}}, lost: {end: true}}}",
            "states.lost: is never reached; point a `goto` at it or remove it",
        ),
        (
            "{states: {a: {then: b}, b: {then: a}}}",
            "states.a.then: comes back here without waiting for the caller",
        ),
        ("{states: {a: {say: x}}}", "states.a: the caller has no way on"),
        ("{states: {a: {say: '', end: true}}}", "states.a.say: Value error, expected a text"),
        (
            "{states: {a: {say: yes, end: true}}}",
            "states.a.say: Value error, expected a text, found true; put it in quotes",
        ),
        ("{states: {a: {say: {hindi: x}, end: true}}}", "'hindi' is not a language code"),
        ("{states: {a: {say: {}, end: true}}}", "found an empty map"),
        ("{states: {a: {say: x, keys: {12: a}}}}", "12 is not a key; there are 0 to 9, * and #"),
        ("{states: {a: {say: x, keys: {1: a, '1': a}}}}", "key '1' is given twice"),
        ("{states: {a: {say: x, keys: {1: {}}}}}", "states.a.keys.1: Value error, does nothing"),
        (
            "{states: {a: {say: x, keys: {1: {end: true, repeat: true}}}}}",
            "give only one of `repeat` and `end`",
        ),
        ("{states: {a: {say: x, key: {1: a}}}}", "states.a.key: Extra inputs"),
        (
            "{states: {no: {end: true}}}",
            "Value error, found false where a name is wanted; put it in quotes",
        ),
        ("{states: {a b: {end: true}}}", "'a b' cannot be a name"),
        ("{states: {a: {end: true, then: a}}}", "give only one of `then` and `end`"),
        (
            "{states: {a: {end: true, keys: {1: a}}}}",
            "`end` happens at once, so the `keys` and `intents` are never used",
        ),
        (
            "{states: {a: {slots: {n: {type: phone, prompt: x}}}}}",
            "a state with `slots` needs `then`, `transfer` or `end`",
        ),
        (
            "{states: {a: {slots: {n: {type: colour, prompt: x}}, end: true}}}",
            "states.a.slots.n.type: Input should be 'digit', 'digits', 'number', 'phone'",
        ),
        (
            "{states: {a: {slots: {n: {type: phone}}, end: true}}}",
            "states.a.slots.n.prompt: Field required",
        ),
        (
            "{states: {a: {slots: {n: {type: phone, prompt: x, length: 4}}, end: true}}}",
            "`length` is only for slots of type digits",
        ),
        (
            "{states: {a: {slots: {n: {type: digits, prompt: x, length: 4, min_length: 2}}, "
            "end: true}}}",
            "give either `length` or `min_length`",
        ),
        (
            "{states: {a: {slots: {n: {type: digits, prompt: x, min_length: 4, max_length: 2}}, "
            "end: true}}}",
            "`min_length` is above `max_length`",
        ),
        (
            "{states: {a: {slots: {n: {type: digits, prompt: x, max: 2}}, end: true}}}",
            "`min` and `max` are only for slots of type number",
        ),
        (
            "{states: {a: {slots: {n: {type: number, prompt: x, min: 3, max: 2}}, end: true}}}",
            "`min` is above `max`",
        ),
        (
            "{states: {a: {slots: {n: {type: choice, prompt: x, choices: [one]}}, end: true}}}",
            "a slot of type choice needs at least two `choices`",
        ),
        (
            "{states: {a: {slots: {n: {type: yesno, prompt: x, choices: [b, c]}}, end: true}}}",
            "`choices` are only for slots of type choice",
        ),
        (
            "{states: {a: {slots: {c: {type: choice, prompt: x, choices: [wheat, rice]}}, then: "
            "{switch: {on: c, cases: {weat: {end: true}}}}}}}",
            "states.a.then.switch.cases: c is never 'weat'; did you mean 'wheat'?",
        ),
        (
            "{states: {a: {say: x, intents: {i: {samples: ['pay {rupees}'], end: true}}}}}",
            "unknown placeholder {rupees} in 'pay {rupees}'; there are {digits}, {digit}",
        ),
        (
            "{states: {a: {say: x, intents: {i: {samples: [], end: true}}}}}",
            "samples: Tuple should",
        ),
        ("{states: {a: {say: x, intents: {i: {samples: ['?!'], end: true}}}}}", "has no words"),
        (
            "{states: {a: {say: x, intents: {i: {samples: [Hi  there], end: true}, "
            "j: {samples: [hi there], end: true}}}}}",
            "states.a.intents.j: sample 'hi there' is also in 'i'",
        ),
        (
            "{states: {a: {slots: {n: {type: phone, prompt: x}}, transfer: {to: '{{n}}'}}}}",
            "states.a.transfer.to: {{n}} comes from the caller",
        ),
        ("{states: {a: {say: x, keys: {1: {transfer: false}}}}}", "`transfer: false` does nothing"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    assert message in problem(text)


def test_a_switch_may_be_written_with_a_bare_on() -> None:
    text = "{states: {a: {then: {switch: {on: x, cases: {yes: {end: true}}}}}}}"
    final = load(text).states["a"].final
    assert final is not None and final.switch is not None
    assert final.switch.on == "x" and list(final.switch.cases) == ["yes"]


def test_names_that_the_agent_does_not_know() -> None:
    options = load(
        "{variables: {a_b: x}, states: {a: {say: 'Hi {{nme}} {{a_b}} {{caller_number}}', keys: "
        "{1: {transfer: dsk}, 2: {transfer: '+911234567890'}, 3: {transfer: true}}}}}"
    )
    assert options.problems_with(
        variables=["name", "caller_number"], transfer_targets=["desk"]
    ) == [
        "states.a.say: there is no variable 'nme'; did you mean 'name'?",
        "states.a.keys.1.transfer.to: call.transfer_to has no 'dsk'; did you mean 'desk'?",
    ]
    assert options.problems_with(variables=["nme", "caller_number"], transfer_targets=[]) == [
        "states.a.keys.1.transfer.to: call.transfer_to has no 'dsk'",
        "states.a.keys.3.transfer: needs `to`, or a number in call.transfer_to",
    ]


def test_options_are_frozen_and_have_a_schema() -> None:
    options = load(SMALL)
    with pytest.raises(ValidationError):
        options.threshold = 60
    schema: dict[str, Any] = ScriptOptions.model_json_schema()
    json.dumps(schema)
    assert {"$ref": "#/$defs/Action"} in schema["$defs"]["State"]["properties"]["keys"][
        "additionalProperties"
    ]["anyOf"]
