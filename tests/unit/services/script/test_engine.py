from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from services.script.engine import Dialogue, Reply, TransferRequest
from services.script.options import ScriptOptions

CLINIC = """
start: main
variables: {place: Pune}
keys:
  9: {repeat: true}
  0: desk
intents:
  person: {samples: [talk to a person], goto: desk}
  address: {samples: [what is your address], say: "We are in {{place}}."}
  repeat: {samples: [say that again], repeat: true}
  back: {samples: [go back], back: true}
  bye: {samples: [goodbye], end: true}
states:
  main:
    say: Welcome. Press 1 to book.
    keys: {1: book}
    intents:
      book: {samples: [book a visit, "book a visit, my number is {phone}"], goto: book}
    no_match:
      - "Pardon?"
      - {say: Sorry., repeat: true}
      - {say: I give up., goto: desk}
  book:
    say: Let us book.
    slots:
      phone:
        type: phone
        prompt: "Your number?"
        reprompt: [Ten digits please., Key it in please.]
        confirm: "{{phone}}, right?"
        retries: 2
      day: {type: choice, prompt: "Which day?", choices: {Monday: [monday, somvar], Friday: }}
      first: {type: yesno, prompt: "First visit?"}
    then:
      switch:
        on: first
        cases:
          yes: {say: "{{day}} noted. Come early.", goto: more}
        default: {say: "{{day}} noted.", goto: more}
  more: {say: "Anything else?"}
  desk: {transfer: {to: desk, reason: asked, say: One moment.}}
"""


def dialogue(text: str = CLINIC, **kwargs: Any) -> Dialogue:
    return Dialogue(ScriptOptions.model_validate(yaml.safe_load(text)), **kwargs)


def keyed(talk: Dialogue, digits: str) -> Reply | None:
    replies = [talk.on_digit(digit) for digit in digits]
    assert replies[:-1] == [None] * (len(digits) - 1)
    return replies[-1]


def test_start_says_the_first_states_words_once() -> None:
    talk = dialogue()
    assert talk.start() == Reply(text="Welcome. Press 1 to book.", state="main", wait_for_digits=1)
    assert talk.start() is None


def test_without_words_there_is_nothing_to_start_with() -> None:
    assert dialogue("{states: {a: {keys: {1: {end: true}}}}}").start() is None


def test_an_answer_leaves_the_state_as_it_is() -> None:
    talk = dialogue()
    reply = talk.on_text("please tell me what is your address")
    assert (reply.text, reply.state, reply.intent) == ("We are in Pune.", "main", "address")
    assert not reply.end and reply.transfer is None


def test_agent_variables_win_over_the_scripts() -> None:
    talk = dialogue(variables={"place": "Nashik"})
    assert talk.on_text("what is your address").text == "We are in Nashik."


def test_repeat_says_the_last_answer_or_the_greeting() -> None:
    talk = dialogue(opening="Hello!")
    assert talk.on_text("say that again").text == "Hello!"
    talk.on_text("what is your address")
    talk.on_text("gibberish")
    assert talk.on_text("say that again").text == "We are in Pune."
    reply = talk.on_digit("9")
    assert reply is not None and (reply.text, reply.intent) == ("We are in Pune.", "key:9")


def test_no_match_escalates_and_an_understood_turn_resets_it() -> None:
    talk = dialogue()
    talk.start()
    assert talk.on_text("blue elephants").text == "Pardon?"
    assert talk.on_unrecognized().text == "Sorry. Welcome. Press 1 to book."
    talk.on_text("what is your address")
    assert talk.on_text("blue elephants").text == "Pardon?"
    talk.on_text("")
    reply = talk.on_text("blue elephants")
    assert reply.text == "I give up. One moment."
    assert reply.transfer == TransferRequest(target="desk", reason="asked")


def test_stock_phrases_in_the_agents_language() -> None:
    talk = dialogue("{states: {a: {say: x, keys: {1: {end: true}}}}}", language="hi")
    assert talk.on_text("ufo").text == "माफ़ कीजिए, मैं समझ नहीं पाई।"
    reply = talk.on_digit("1")
    assert reply is not None and reply.end and "नमस्ते" in reply.text


def test_silence_is_asked_into_twice_and_then_ends_the_call() -> None:
    talk = dialogue(waiting="Hello?", farewell="Bye.")
    talk.start()
    asked = "Hello? Welcome. Press 1 to book."
    assert [talk.on_no_input().text for _ in range(2)] == [asked, asked]
    last = talk.on_no_input()
    assert (last.text, last.end) == ("Bye.", True)


def test_speech_starts_the_count_of_silences_anew() -> None:
    talk = dialogue()
    talk.on_no_input()
    talk.on_no_input()
    talk.on_text("what is your address")
    assert not talk.on_no_input().end


def test_no_input_of_the_state_comes_first() -> None:
    talk = dialogue(
        "{no_input: general, states: {a: {keys: {1: b}, no_input: [own, {say: x, end: true}]}, "
        "b: {say: b, keys: {1: a}}}}"
    )
    assert talk.on_no_input().text == "own"
    assert talk.on_no_input().end
    talk.on_digit("1")
    assert talk.on_no_input().text == "general"


def test_a_key_can_be_pressed_or_said() -> None:
    for reply in (dialogue().on_digit("1"), dialogue().on_text("press one")):
        assert reply is not None and reply.state == "book"
        assert reply.text == "Let us book. Your number?"
        assert reply.wait_for_digits == 10


def test_an_unknown_key_is_not_understood() -> None:
    reply = dialogue().on_digit("7")
    assert reply is not None and reply.text == "Pardon?"


def booking() -> Dialogue:
    talk = dialogue()
    talk.on_text("book a visit")
    return talk


def test_slots_by_voice() -> None:
    talk = booking()
    assert talk.on_text("nine eight seven six five 43210").text == "9 8 7 6 5, 4 3 2 1 0, right?"
    assert talk.on_text("haan ji").text == "Which day?"
    assert talk.on_text("somvar ko").text == "First visit?"
    reply = talk.on_text("जी हाँ")
    assert (reply.text, reply.state) == ("Monday noted. Come early. Anything else?", "more")
    assert talk.collected == {"phone": "9876543210", "day": "Monday", "first": "yes"}


def test_slots_by_keypad() -> None:
    talk = booking()
    reply = keyed(talk, "9876543210")
    assert reply is not None and reply.wait_for_digits == 1
    reply = talk.on_digit("1")
    assert reply is not None and reply.text == "Which day?"
    talk.on_digit("2")
    reply = talk.on_digit("2")
    assert reply is not None and reply.text == "Friday noted. Anything else?"
    assert talk.collected["first"] == "no"


def test_star_clears_and_hash_ends_what_is_keyed() -> None:
    talk = booking()
    assert keyed(talk, "123*98765") is None
    assert talk.awaits_more_keys
    reply = talk.on_digit("#")
    assert reply is not None and reply.text == "Ten digits please."
    assert not talk.awaits_more_keys


def test_a_pause_ends_what_is_keyed() -> None:
    talk = booking()
    assert talk.on_digits_end() is None
    keyed(talk, "98765")
    reply = talk.on_digits_end()
    assert reply is not None and reply.text == "Ten digits please."
    keyed(talk, "123")
    assert talk.on_no_input().text == "Key it in please."


def test_a_number_said_in_two_pieces() -> None:
    talk = booking()
    assert talk.on_text("nine eight seven six five").text == "Yes, go on."
    assert talk.on_text("four three two one zero").text == "9 8 7 6 5, 4 3 2 1 0, right?"


def test_a_repeated_number_replaces_the_first_piece() -> None:
    talk = booking()
    talk.on_text("nine eight seven")
    assert talk.on_text("my number is 9876543210").text == "9 8 7 6 5, 4 3 2 1 0, right?"


def test_no_asks_again_and_a_correction_is_taken() -> None:
    talk = booking()
    talk.on_text("9876543210")
    assert talk.on_text("no").text == "Your number?"
    assert "phone" in talk.collected
    talk.on_text("9876543211")
    assert talk.on_text("no, it is 9876543212").text == "9 8 7 6 5, 4 3 2 1 2, right?"
    assert talk.on_text("correct").text == "Which day?"
    assert talk.collected["phone"] == "9876543212"


def test_attempts_run_out() -> None:
    talk = booking()
    assert talk.on_text("banana").text == "Ten digits please."
    assert talk.on_unrecognized().text == "Key it in please."
    reply = talk.on_text("banana")
    assert reply.text == "Sorry, I could not get that. Welcome. Press 1 to book."
    assert reply.state == "main"
    assert talk.collected == {}


def test_failed_of_the_slot_and_of_the_script() -> None:
    script = (
        "{{failed: {{say: general, end: true}}, states: {{a: {{slots: {{n: {{type: digits, "
        "prompt: 'Code?', length: 4, retries: 0{own}}}}}, end: true}}}}}}"
    )
    assert dialogue(script.format(own="")).on_text("x").text == "general"
    own = ", failed: {say: own, end: true}"
    assert dialogue(script.format(own=own)).on_text("x").text == "own"


def test_an_intent_inside_a_question_is_answered_and_the_question_asked_again() -> None:
    talk = booking()
    assert talk.on_text("what is your address").text == "We are in Pune. Your number?"
    talk.on_text("9876543210")
    reply = talk.on_text("what is your address")
    assert reply.text == "We are in Pune. 9 8 7 6 5, 4 3 2 1 0, right?"
    reply = talk.on_text("no talk to a person")
    assert reply.transfer is not None


def test_repeat_inside_a_question_says_it_once() -> None:
    assert booking().on_text("say that again").text == "Your number?"


def test_silence_inside_a_question_repeats_it() -> None:
    talk = dialogue(waiting="Hello?")
    talk.on_text("book a visit")
    assert talk.on_no_input().text == "Hello? Your number?"


def test_a_value_in_the_intent_is_not_asked_for_again() -> None:
    reply = dialogue().on_text("book a visit, my number is 98765 43210")
    assert reply.text == "Let us book. 9 8 7 6 5, 4 3 2 1 0, right?"


def test_a_global_key_works_beside_a_choice_but_not_inside_a_number() -> None:
    talk = booking()
    assert talk.on_digit("0") is None
    talk.on_digits_end()
    talk.on_text("9876543210")
    talk.on_text("yes")
    reply = talk.on_digit("0")
    assert reply is not None and reply.transfer is not None


def test_a_free_text_is_taken_unless_an_intent_is_said_word_by_word() -> None:
    text = (
        "{states: {a: {slots: {n: {type: text, prompt: 'Name?'}}, then: b}, b: {say: 'Hi {{n}}'}}"
    )
    text += ", intents: {bye: {samples: [goodbye], end: true}}}"
    assert dialogue(text).on_text(" Asha Rao ").text == "Hi Asha Rao"
    assert dialogue(text).on_text("goodbye").end


def test_numbers_are_checked_against_their_range() -> None:
    text = (
        "{states: {a: {slots: {n: {type: number, prompt: 'Acres?', min: 1, max: 10}}, "
        "then: {say: '{{n}} acres', end: true}}}}"
    )
    assert dialogue(text).on_text("twenty").text == "Sorry, I did not understand that. Acres?"
    assert dialogue(text).on_text("ढाई").text == "2.5 acres"


def test_after_the_farewell_the_caller_may_go_on_or_the_call_ends() -> None:
    talk = dialogue(farewell="Bye.")
    assert talk.on_text("goodbye") == Reply(text="Bye.", state="main", intent="bye", end=True)
    assert talk.on_text("what is your address").text == "We are in Pune."
    talk.on_text("goodbye")
    assert talk.on_text("mumble").end
    assert talk.on_no_input() == Reply(text="", state="main", end=True)


def test_back_returns_to_the_state_before() -> None:
    talk = dialogue()
    talk.on_text("book a visit")
    assert talk.on_text("go back").text == "Welcome. Press 1 to book."
    assert talk.on_text("go back").state == "main"


def test_variables_are_set_rendered_and_spelled() -> None:
    talk = dialogue(
        "{states: {a: {keys: {1: {set: {who: 'Dr {{name}}', n: '{{caller_number}}'}, "
        "say: '{{who}} {{n}} {{n|digits}} {{caller_number}} {{caller_number|plain}}{{nil}}', "
        "end: true}}}}}",
        variables={"name": "Rao", "caller_number": "12345"},
    )
    reply = talk.on_digit("1")
    assert reply is not None
    assert reply.text == "Dr Rao 12345 1 2 3 4 5 1 2 3 4 5 12345"


def test_values_are_not_looked_into() -> None:
    text = "{states: {a: {slots: {n: {type: text, prompt: x}}, then: {say: '{{n}}', end: true}}}}"
    assert dialogue(text, variables={"key": "secret"}).on_text("{{key}}").text == "{{key}}"


def test_texts_by_language() -> None:
    text = "{states: {a: {say: {en-IN: Hello, hi: नमस्ते}, keys: {1: a}}}}"
    for language, said in (("hi", "नमस्ते"), ("en-IN", "Hello"), ("ta", "Hello")):
        reply = dialogue(text, language=language).start()
        assert reply is not None and reply.text == said


def test_a_transfer_to_a_variable_of_the_agent() -> None:
    text = "{states: {a: {keys: {1: {transfer: '{{desk}}'}, 2: {transfer: true}}}}}"
    reply = dialogue(text, variables={"desk": "front"}).on_digit("1")
    assert reply is not None
    assert reply.transfer == TransferRequest(target="front", reason=None)
    assert reply.text == "Please hold while I connect you."
    reply = dialogue(text).on_digit("2")
    assert reply is not None and reply.transfer == TransferRequest(target=None, reason=None)


def test_a_circle_of_switches_comes_to_an_end() -> None:
    talk = dialogue(
        "{states: {a: {slots: {n: {type: text, prompt: x}}, then: {switch: {on: heard, cases: "
        "{}, default: b}}}, b: {say: b, keys: {1: a}}}}".replace("cases: {}", "cases: {q: a}")
    )
    assert talk.on_text("hm").state == "b"


_INPUTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["book a visit", "yes", "no", "98765 43210", "goodbye", "somvar", "go back"]),
    st.sampled_from("0123456789*#A"),
    st.none(),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_INPUTS, max_size=25))
def test_any_caller_is_survived_and_always_answered(inputs: list[str | None]) -> None:
    talk = dialogue()
    talk.start()
    for item in inputs:
        if item is None:
            reply: Reply | None = talk.on_no_input()
        elif len(item) == 1:
            reply = talk.on_digit(item)
        else:
            reply = talk.on_text(item)
        if reply is None:
            assert item is not None and len(item) == 1
        else:
            assert reply.text or reply.end or reply.transfer


def test_the_same_inputs_give_the_same_replies() -> None:
    said = ["book a visit", "nine eight", "no", "9876543210", "yes", "friday", "nahi", "mumble"]
    first, second = dialogue(), dialogue()
    assert [first.on_text(s) for s in said] == [second.on_text(s) for s in said]


@pytest.mark.parametrize("language", ["hi", "mr", "bn", "ta", "te", "gu", "kn", "ml", "pa", "or"])
def test_stock_phrases_ask_back_in_every_language(language: str) -> None:
    talk = dialogue(
        "{states: {a: {slots: {n: {type: digit, prompt: x, confirm: true}}, end: true}}}",
        language=language,
    )
    reply = talk.on_digit("5")
    assert reply is not None and "5" in reply.text and "{" not in reply.text
    assert not reply.text.isascii()
