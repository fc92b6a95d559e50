"""Which languages and formats ElevenLabs' models take."""

from typing import Final

from simulators.base import names

#: Scribe, among others; ISO 639-1 and 639-3 are both taken.
STT_LANGUAGES: Final = names(
    "asm ben eng guj hin kan mal mar nep ori pan snd tam tel urd"
    " as bn en gu hi kn ml mr ne or pa sd ta te ur"
)
_V2_5: Final = names("en hi ta ar de es fr it ja ko pt ru zh")
_V3: Final = _V2_5 | names("as bn gu kn ml mr ne pa sd te ur")
_V4: Final = _V3 | names("or")
TTS_LANGUAGES: Final = {
    "eleven_flash_v2_5": _V2_5,
    "eleven_turbo_v2_5": _V2_5,
    "eleven_v3": _V3,
    "eleven_v3_conversational": _V3,
    "eleven_v4": _V4,
    "eleven_v4_turbo": _V4,
    "eleven_multilingual_v2": frozenset[str](),
}
#: Name in ``audio_format`` and ``output_format`` to encoding and rate in Hz.
FORMATS: Final = {
    **{
        f"pcm_{rate}": ("pcm_s16le", rate)
        for rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000)
    },
    "ulaw_8000": ("pcm_mulaw", 8000),
}
