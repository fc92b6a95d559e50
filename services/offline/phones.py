"""How the sounds of espeak's languages are heard by a model that only knows English ones.

Each IPA sound has one or more spellings in the model's phones, best first; ``~`` before a
spelling makes it a second choice that costs something, and ``-`` means the sound may be missing.
Languages differ from the common table only where their speech does.
"""

COMMON: dict[str, str] = {
    # vowels
    "a": "AA ~AH", "ɑ": "AA ~AO", "ɐ": "AH ~AA", "ʌ": "AH ~AA", "ə": "AH ~IH ~-",
    "ᵻ": "IH ~AH", "i": "IY ~IH", "ɪ": "IH ~IY", "ɨ": "IH ~UH", "u": "UW ~UH", "ʊ": "UH ~UW",
    "ʉ": "UW ~UH ~IH ~-", "e": "EY ~EH ~IH", "ɛ": "EH ~AE ~EY", "æ": "AE ~EH", "o": "OW ~AO",
    "ɔ": "AO ~AA ~OW", "ɒ": "AA ~AO", "ɜ": "ER ~AH", "ɚ": "ER ~AH", "ɝ": "ER",
    "aɪ": "AY ~AA+IY", "aʊ": "AW ~AA+UW", "eɪ": "EY ~EH", "oʊ": "OW ~AO", "əʊ": "OW ~AO",
    "ɔɪ": "OY", "ʌɪ": "AY ~AH+IY", "ʌʊ": "AW ~AO", "ɔː": "AO ~OW ~AA", "iə": "IH+R ~IY+AH",
    "ɪɹ": "IH+R ~IY+R", "eə": "EH+R ~EH+AH", "ʊə": "UH+R ~UW+AH", "ɜː": "ER ~AH",
    "\u0303": "~N ~NG -",
    # stops
    "p": "P", "pʰ": "P ~F", "b": "B ~P", "bʰ": "B ~B+HH", "t": "T ~D ~TH", "tʰ": "T ~TH ~T+HH",
    "d": "D ~DH ~T", "dʰ": "D ~DH ~D+HH", "ʈ": "T ~D", "ʈʰ": "T ~T+HH", "ɖ": "D ~R ~T",
    "ɖʰ": "D ~D+HH", "k": "K ~G", "kʰ": "K ~K+HH", "ɡ": "G ~K", "ɡʰ": "G ~G+HH", "q": "K",
    "c": "CH ~T+Y", "cʰ": "CH", "ɟ": "JH ~CH ~D+Y", "ɟʰ": "JH ~JH+HH", "tʃ": "CH", "tʃʰ": "CH",
    "dʒ": "JH ~CH", "dʒʰ": "JH", "ʔ": "-",
    # the rest
    "f": "F ~P", "v": "V ~W ~B", "ʋ": "V ~W ~B", "w": "W ~V", "θ": "TH ~T", "ð": "DH ~D",
    "s": "S", "z": "Z ~JH ~S", "ʃ": "SH ~S", "ʂ": "SH ~S", "ɕ": "SH ~S", "ʒ": "ZH ~JH ~SH",
    "x": "HH ~K", "ɣ": "G", "h": "HH ~-", "ɦ": "HH ~-", "m": "M", "n": "N", "ɳ": "N ~R+N",
    "ɲ": "N ~N+Y", "ŋ": "NG ~N", "l": "L", "ɫ": "L", "ɭ": "L ~R ~D", "ɻ": "R ~L ~ZH",
    "r": "R ~D ~T", "ɾ": "R ~D ~T", "ɹ": "R", "ɽ": "R ~D", "j": "Y ~-", "ʲ": "~Y -",
}  # fmt: skip

BY_LANGUAGE: dict[str, dict[str, str]] = {}

_DROPPED = frozenset("ˈˌ.ː\u0325\u0329\u032a\u030d'_^;:|-")


def spell(ipa: str, language: str) -> list[tuple[tuple[tuple[str, ...], bool], ...]]:
    """One word of IPA as a row of sounds, each with its spellings.

    Args:
        ipa: From espeak, without spaces.
        language: Our code; picks what differs from the common table.

    Returns:
        For each sound, alternatives of ``(phones, first choice)``; no phones: may be missing.
    """
    table = COMMON | BY_LANGUAGE.get(language, {})
    row: list[tuple[tuple[tuple[str, ...], bool], ...]] = []
    at = 0
    while at < len(ipa):
        for length in (3, 2, 1):
            sound = ipa[at : at + length]
            if sound in table:
                row.append(_alternatives(table[sound]))
                break
        at += max(len(sound), 1)
    return _single(row)


def _alternatives(entry: str) -> tuple[tuple[tuple[str, ...], bool], ...]:
    found = []
    for spelling in entry.split():
        bare = spelling.removeprefix("~")
        phones = () if bare == "-" else tuple(bare.split("+"))
        found.append((phones, bare == spelling))
    return tuple(found)


def _single(
    row: list[tuple[tuple[tuple[str, ...], bool], ...]],
) -> list[tuple[tuple[tuple[str, ...], bool], ...]]:
    """Doubled sounds once: the model's states stretch."""
    return [sound for at, sound in enumerate(row) if at == 0 or sound != row[at - 1]]
