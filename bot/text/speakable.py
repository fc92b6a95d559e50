"""Takes out of a model's text what is to be seen and not to be said."""

import re
import unicodedata

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
#: At the beginning of a line: heading, quotation, bullet.
_LINE_MARK = re.compile(r"(?m)^[ \t]*(?:#{1,6}[ \t]+|>[ \t]*|[-*+•‣▪●][ \t]+(?=\S))+")
_RULE = re.compile(r"(?m)^[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*$")
_CODE = re.compile(r"`+")
_STRIKE = re.compile(r"~~+")
#: Emphasis: stars that touch a word on one side only; ``2*3`` and "press * now" stay.
_STARS = re.compile(r"(?<![\d*])\*+(?=\S)|(?<=\S)\*+(?![\d*])")
_STRONG = re.compile(r"\*\*+")
_UNDERSCORES = re.compile(r"(?<![\w])_+(?=\w)|(?<=[\w.,!?।])_+(?![\w])|__+")
_SPACES = re.compile(r"[ \t]{2,}")
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[.,!?।॥۔؟])")
#: Symbols from here on are pictures; those before, such as the degree sign, are spoken.
_FIRST_PICTURE = 0x2190
_SELECTORS = frozenset("\ufe0e\ufe0f\u20e3")


def speakable(text: str) -> str:
    """``text`` without Markdown marks, link addresses and emoji.

    Letters, digits, joiners of Indian scripts and punctuation stay as they are.

    Returns:
        What can be spoken; empty where nothing but decoration was there.
    """
    text = _RULE.sub("", text)
    text = _LINK.sub(r"\1", text)
    text = _LINE_MARK.sub("", text)
    for decoration in (_STRONG, _STARS, _UNDERSCORES, _CODE, _STRIKE):
        text = decoration.sub("", text)
    plain = _without_pictures(text)
    if plain != text:
        text = _SPACE_BEFORE_MARK.sub("", _SPACES.sub(" ", plain))
    text = text.strip()
    return text if any(char.isalnum() for char in text) else ""


def _without_pictures(text: str) -> str:
    kept: list[str] = []
    after_picture = False
    for char in text:
        picture = _is_picture(char)
        # The zero-width joiner glues emoji, and syllables of Indian scripts: there it stays.
        if not picture and not (char == "\u200d" and after_picture):
            kept.append(char)
        after_picture = picture
    return "".join(kept)


def _is_picture(char: str) -> bool:
    if char in _SELECTORS:
        return True
    if ord(char) < _FIRST_PICTURE:
        return False
    is_skin_tone = "\U0001f3fb" <= char <= "\U0001f3ff"
    is_flag = "\U0001f1e6" <= char <= "\U0001f1ff"
    return is_skin_tone or is_flag or unicodedata.category(char) == "So"
