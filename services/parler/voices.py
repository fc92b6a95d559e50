"""AI4Bharat's Indic Parler: the voices of the model, whoever serves it.

Imports nothing: registrations read it. How it speaks in a call is in ``services.parler.tts``.
"""

from collections.abc import Mapping

#: Named speakers of the model per language: a woman's voice and a man's. Where the model has
#: none for a language, those of Hindi speak it.
_SPEAKERS: Mapping[str, tuple[str, str]] = {
    "as": ("Sita", "Amit"),
    "bn": ("Aditi", "Arjun"),
    "brx": ("Maya", "Bikram"),
    "doi": ("Divya", "Karan"),
    "gu": ("Neha", "Yash"),
    "hi": ("Divya", "Rohit"),
    "kn": ("Anu", "Suresh"),
    "ml": ("Anjali", "Harish"),
    "mni": ("Laishram", "Ranjit"),
    "mr": ("Sunita", "Sanjay"),
    "ne": ("Amrita", "Rohit"),
    "or": ("Debjani", "Manas"),
    "pa": ("Gurpreet", "Divjot"),
    "sa": ("Divya", "Aryan"),
    "ta": ("Jaya", "Rohit"),
    "te": ("Lalitha", "Prakash"),
}
_VOICES = {"": 0, "female": 0, "male": 1}


def speaker_for(voice: str | None, language: str) -> str:
    """The named speaker that an agent's ``voice`` means.

    >>> speaker_for("female", "ta"), speaker_for(None, "ur"), speaker_for("Rani", "hi")
    ('Jaya', 'Divya', 'Rani')

    Args:
        voice: A speaker's name, ``female`` or ``male``; None for the language's own.
        language: Our code.
    """
    wanted = (voice or "").strip()
    index = _VOICES.get(wanted.casefold())
    return wanted if index is None else _SPEAKERS.get(language, _SPEAKERS["hi"])[index]
