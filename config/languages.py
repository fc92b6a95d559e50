"""The one language table: the 22 scheduled languages of India, Indian English and Bhili.

A language's code is the shortest BCP-47 tag that names it (``hi``, not ``hi-IN``); English is
``en-IN`` because every vendor tells its accents apart. Names, ISO 639-3 codes, regional tags
and the spellings that vendors use are aliases. What a vendor calls a language, and which it
lacks, stands in that vendor's own file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from config.errors import ConfigError

#: Below this likeness (0 to 100) a suggestion would only confuse.
_SUGGESTION_CUTOFF = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language that an agent may speak.

    Attributes:
        code: Shortest BCP-47 tag.
        name: English name.
        native_name: Its name in its own script.
        script: ISO 15924 code of the script it is usually written in.
        iso639_3: Three-letter code.
        aliases: Other spellings that are understood, in any case.
    """

    code: str
    name: str
    native_name: str
    script: str
    iso639_3: str
    aliases: tuple[str, ...] = ()


def _language(
    code: str, name: str, native_name: str, script: str, iso639_3: str, *aliases: str
) -> Language:
    return Language(
        code=code,
        name=name,
        native_name=native_name,
        script=script,
        iso639_3=iso639_3,
        aliases=aliases,
    )


_TABLE = (
    _language("as", "Assamese", "অসমীয়া", "Beng", "asm", "asamiya"),
    _language("bn", "Bengali", "বাংলা", "Beng", "ben", "bangla", "bn-BD"),
    _language("brx", "Bodo", "बड़ो", "Deva", "brx", "boro"),
    _language("doi", "Dogri", "डोगरी", "Deva", "doi", "dgo"),
    _language("gu", "Gujarati", "ગુજરાતી", "Gujr", "guj"),
    _language("hi", "Hindi", "हिन्दी", "Deva", "hin", "हिंदी", "hinglish", "hi-Latn"),
    _language("kn", "Kannada", "ಕನ್ನಡ", "Knda", "kan"),
    _language("ks", "Kashmiri", "کٲشُر", "Arab", "kas"),
    _language("kok", "Konkani", "कोंकणी", "Deva", "kok", "gom"),
    _language("mai", "Maithili", "मैथिली", "Deva", "mai"),
    _language("ml", "Malayalam", "മലയാളം", "Mlym", "mal"),
    _language("mni", "Manipuri", "ꯃꯤꯇꯩꯂꯣꯟ", "Mtei", "mni", "meitei", "Manipuri (Meitei)"),
    _language("mr", "Marathi", "मराठी", "Deva", "mar"),
    _language("ne", "Nepali", "नेपाली", "Deva", "nep", "npi", "ne-NP"),
    _language("or", "Odia", "ଓଡ଼ିଆ", "Orya", "ori", "ory", "oriya", "od", "od-IN"),
    _language("pa", "Punjabi", "ਪੰਜਾਬੀ", "Guru", "pan", "panjabi", "pa-Guru", "pa-Guru-IN"),
    _language("sa", "Sanskrit", "संस्कृतम्", "Deva", "san"),
    _language("sat", "Santali", "ᱥᱟᱱᱛᱟᱲᱤ", "Olck", "sat", "santhali"),
    _language("sd", "Sindhi", "سنڌي", "Arab", "snd"),
    _language("ta", "Tamil", "தமிழ்", "Taml", "tam"),
    _language("te", "Telugu", "తెలుగు", "Telu", "tel"),
    _language("ur", "Urdu", "اردو", "Arab", "urd", "ur-PK"),
    _language(
        "en-IN",
        "English",
        "English",
        "Latn",
        "eng",
        "en",
        "en-US",
        "en-GB",
        "Indian English",
        "English (India)",
        "English (United States)",
        "English (United Kingdom)",
    ),
    _language("bhb", "Bhili", "भीली", "Deva", "bhb", "bhli", "bhil"),
)

#: Every language by its code.
LANGUAGES: Mapping[str, Language] = {language.code: language for language in _TABLE}


def _key(text: str) -> str:
    return text.strip().replace("_", "-").casefold()


def _spellings(language: Language) -> tuple[str, ...]:
    regional = () if "-" in language.code else (f"{language.code}-IN",)
    return (
        language.code,
        *regional,
        language.iso639_3,
        f"{language.iso639_3}-IN",
        language.name,
        f"{language.name} (India)",
        language.native_name,
        *language.aliases,
    )


_BY_SPELLING: Mapping[str, str] = {
    _key(spelling): language.code for language in _TABLE for spelling in _spellings(language)
}


def is_language(text: str) -> bool:
    """Whether :func:`resolve_language` knows ``text``."""
    return _key(text) in _BY_SPELLING


def resolve_language(text: str) -> str:
    """The code of the language that ``text`` names.

    Args:
        text: A code, an ISO 639-3 code, a regional tag or a name, in any case.

    Raises:
        ConfigError: No language goes by that name; the message says which is nearest.
    """
    code = _BY_SPELLING.get(_key(text))
    if code is not None:
        return code
    allowed = ", ".join(LANGUAGES)
    raise ConfigError(
        f"unknown language {text!r}{_suggestion(text)}; languages are {allowed}",
        code="unknown_language",
    )


def _suggestion(text: str) -> str:
    names = [spelling for spelling in _BY_SPELLING if len(spelling) > 3]
    nearest = process.extractOne(
        _key(text), names, scorer=fuzz.ratio, score_cutoff=_SUGGESTION_CUTOFF
    )
    if nearest is None:
        return ""
    language = LANGUAGES[_BY_SPELLING[nearest[0]]]
    return f"; did you mean {language.name!r} ({language.code})?"
