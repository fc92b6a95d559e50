from collections.abc import Callable

import pytest
from pydantic import ValidationError

from config.agent import AgentConfig
from config.errors import ConfigError
from config.phone import mask_number, normalise_number
from config.templates import render_template, template_error, template_variables
from tests.unit.config.conftest import KEYLESS

AgentOf = Callable[[str], AgentConfig]


def test_phrases_left_open_are_in_the_agents_language(agent_of: AgentOf) -> None:
    phrases = agent_of(f"language: mr\n{KEYLESS}").phrases()
    assert phrases["apology"].startswith("माफ करा")
    assert phrases["greeting"] == ""


def test_the_files_own_phrases_win(agent_of: AgentOf) -> None:
    agent = agent_of(
        f"language: hi\ngreeting: G\nturns: {{no_input_prompt: N, hold_messages: [H0, H1]}}\n"
        f"call: {{farewell: F, apology: A, busy: B}}\n{KEYLESS}"
    )
    assert agent.phrases() == {
        "greeting": "G",
        "apology": "A",
        "no_input": "N",
        "farewell": "F",
        "busy": "B",
        "hold_0": "H0",
        "hold_1": "H1",
    }


def test_fixed_phrases_are_rendered_and_leave_out_what_only_a_call_knows(
    agent_of: AgentOf,
) -> None:
    agent = agent_of(
        "name: Asha\ngreeting: I am {{agent_name}} of {{ shop }}.\n"
        f"call: {{farewell: 'Bye, {{{{caller_number}}}}'}}\nvariables: {{shop: Mandi}}\n{KEYLESS}"
    )
    fixed = agent.fixed_phrases()
    assert fixed["greeting"] == "I am Asha of Mandi."
    assert "farewell" not in fixed
    assert agent.render(agent.call.farewell, {"caller_number": "+911"}) == "Bye, +911"
    assert agent.render(agent.greeting, {"shop": "Bazaar"}) == "I am Asha of Bazaar."
    assert agent.render(agent.call.farewell) == "Bye, "


def test_an_agent_cannot_be_changed(agent_of: AgentOf) -> None:
    agent = agent_of(KEYLESS)
    with pytest.raises(ValidationError):
        agent.greeting = "x"


def test_options_of_a_provider_it_does_not_use_are_refused(agent_of: AgentOf) -> None:
    with pytest.raises(ConfigError, match="no stt provider 'deepgram'"):
        agent_of(KEYLESS).provider_options("stt", "deepgram")


def test_keys_do_not_show(agent_of: AgentOf) -> None:
    agent = agent_of(
        "stt: {provider: deepgram, deepgram: {api_key: hidden-key}}\n"
        "llm: {provider: script, script: {steps: {a: b}}}\n"
    )
    assert "hidden" not in f"{agent!r} {agent} {agent.model_dump()} {agent.model_dump_json()}"


def test_variables_are_replaced_once() -> None:
    values = {"a": "{{b}}", "b": "x"}
    assert render_template("{{a}} {{ b }} {c}", values) == "{{b}} x {c}"
    assert template_variables("{{a}}{{b}}{{a}}") == ("a", "b")


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown variable 'farmr'; did you mean 'farmer'"):
        render_template("{{farmr}}", {"farmer": "x"})


@pytest.mark.parametrize("text", ["{{a", "a}}", "{{a b}}", "{{1}}", "{{{a}}}}"])
def test_braces_that_enclose_no_name_are_refused(text: str) -> None:
    assert template_error(text, ("a",)) is not None


@pytest.mark.parametrize("text", ["", "{a}", "{{a}}", "{{ a }} b", "a } { b"])
def test_sound_texts_pass(text: str) -> None:
    assert template_error(text, ("a",)) is None


@pytest.mark.parametrize(
    "text",
    [
        "+919812345678",
        "+91 98123 45678",
        "919812345678",
        "09812345678",
        "9812345678",
        "00919812345678",
        "(0)98123-45678",
    ],
)
def test_indian_numbers_have_one_form(text: str) -> None:
    assert normalise_number(text) == "+919812345678"


def test_foreign_numbers_keep_theirs() -> None:
    assert normalise_number("+1 202 555 0143") == "+12025550143"
    assert normalise_number("00442079460000") == "+442079460000"


@pytest.mark.parametrize("text", ["", "+", "12", "abc", "+0123456789", "9" * 20, "+91९८१२३४५६७८"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a telephone number"):
        normalise_number(text)


def test_masked_numbers_keep_their_shape_and_two_digits() -> None:
    assert mask_number("+91 98123 45678") == "+** ***** ***78"
