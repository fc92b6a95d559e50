"""What is shown and what is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text.speakable import speakable


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("**Bold** and *soft* words.", "Bold and soft words."),
        ("This is **not closed.", "This is not closed."),
        ("closed here** now.", "closed here now."),
        ("## Opening hours", "Opening hours"),
        ("- milk", "milk"),
        ("* bread", "bread"),
        ("• ब्रेड", "ब्रेड"),
        ("> quoted", "quoted"),
        ("> - **both**", "both"),
        ("Use `code` now.", "Use code now."),
        ("~~old~~ new", "old new"),
        ("_soft_ and __strong__", "soft and strong"),
        ("snake_case stays", "snake_case stays"),
        ("See [our page](https://example.in/x_y?z=1) now.", "See our page now."),
        ("![a cat](cat.png)", "a cat"),
        ("2*3 is six", "2*3 is six"),
        ("Press * now", "Press * now"),
        ("Great 🎉!", "Great!"),
        ("👍🏽 Yes 👨‍👩‍👧 all", "Yes all"),
        ("भारत 🇮🇳 महान", "भारत महान"),
        ("25° outside, © us, ₹500", "25° outside, © us, ₹500"),
        ("ക്‍ഷ and क्‍ष stay", "ക്‍ഷ and क्‍ष stay"),
        ("---", ""),
        ("* * *", ""),
        ("🎉", ""),
        ("...", ""),
        ("", ""),
        ("-5 degrees", "-5 degrees"),
        ("well - maybe", "well - maybe"),
    ],
)
def test_decoration_is_not_spoken(shown: str, said: str) -> None:
    assert speakable(shown) == said


@given(st.text(max_size=200))
def test_letters_and_digits_outside_addresses_are_kept(text: str) -> None:
    kept = [char for char in text if char.isalnum()]
    if "](" not in text:
        assert [char for char in speakable(text) if char.isalnum()] == kept


@given(st.text(max_size=200))
def test_what_is_speakable_stays_as_it_is(text: str) -> None:
    once = speakable(text)
    assert once == "" or any(char.isalnum() for char in once)
