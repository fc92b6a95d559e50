"""espeak-ng in process: the one place that talks to the C library.

espeak-ng keeps its voice, its parameters, its text decoder and its wave queue in C globals,
so at most one call may be inside it at a time; one lock per process guards every entry. A lock
rather than a thread, because nothing in the library is tied to a thread: a caller that already
stands off the event loop (a recogniser compiling its grammar) need not hop to another one. None
of these functions may be called on the event loop.

The C interface is ``speak_lib.h``, API revision 12 (espeak-ng 1.52), built into the
``espeakng-loader`` wheel together with its voices. ctypes releases the interpreter's lock while
the C code runs and takes it back for each callback.
"""

import ctypes
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import espeakng_loader

from config.errors import ProviderError
from services.espeak.text import clean
from services.espeak.voices import voice_file

#: What the library makes; ``espeak_Initialize`` returns it and the binding checks it.
NATIVE_RATE_HZ = 22_050

#: Audio per callback. Each callback has to win the interpreter's lock back, which takes up to
#: its 5 ms switch interval when the event loop is busy, so few and large ones are better; the
#: library makes this much in a quarter of a millisecond.
CHUNK_MS = 240

#: espeak's own limits for ``espeakRATE``.
RATE_MIN_WPM = 80
RATE_MAX_WPM = 450

Notation = Literal["ipa", "espeak"]

_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_END_PAUSE = 0x1000
_POSITION_CHARACTER = 1
_PHONEMES_IPA = 0x02
_PARAM_RATE, _PARAM_VOLUME, _PARAM_PITCH = 1, 2, 3
_CONTINUE, _ABORT = 0, 1
_LANGUAGE_SWITCH = re.compile(r"\([a-z0-9-]+\)")

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def synthesize(
    text: str,
    voice: str,
    rate_wpm: int,
    pitch: int,
    on_chunk: Callable[[bytes], bool],
    *,
    volume: int = 100,
    end_pause: bool = False,
) -> bool:
    """Speak ``text``, blocking until all of it is made or the caller has had enough.

    Args:
        text: What to say, of any length and kind; see :func:`services.espeak.text.clean`.
        voice: A voice's language code, with ``+variant`` if wanted.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        on_chunk: Called in this thread with up to ``CHUNK_MS`` of 16-bit little-endian mono PCM at
            ``NATIVE_RATE_HZ``; returns False to stop. What it raises stops synthesis and is
            raised here.
        volume: Per cent; above 100 the library compresses, then clips.
        end_pause: Whether the pause that the last punctuation mark calls for is made, too.

    Returns:
        True if the text was spoken to its end, False if ``on_chunk`` stopped it.

    Raises:
        ProviderError: The library is missing, or lacks the voice.
    """
    return _library().synthesize(text, voice, rate_wpm, pitch, volume, end_pause, on_chunk)


def phonemes(text: str, voice: str, *, notation: Notation = "ipa", separator: str = "") -> str:
    """How ``voice`` would pronounce ``text``; clauses and words are parted by spaces.

    Args:
        text: What would be said.
        voice: A voice's language code.
        notation: ``ipa``, or ``espeak`` for the library's own ASCII mnemonics (after
            Kirshenbaum), which are the easier to map to another phone set.
        separator: One character to put between the phonemes of a word.

    Raises:
        ProviderError: The library is missing, or lacks the voice.
    """
    return _library().phonemes(text, voice, notation, separator)


_load_lock = threading.Lock()


def _library() -> "_Library":
    # functools.cache alone would let two threads initialise the library at once.
    with _load_lock:
        return _loaded()


@cache
def _loaded() -> "_Library":
    return _Library()


class _Library:
    """The loaded library; every method takes the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._voice: str | None = None
        self._on_chunk: Callable[[bytes], bool] | None = None
        self._raised: BaseException | None = None
        # ctypes keeps no reference: the callback must live as long as the library.
        self._callback = _SynthCallback(self._receive)
        self._c = _load()
        self._c.espeak_SetSynthCallback(self._callback)

    def synthesize(
        self,
        text: str,
        voice: str,
        rate_wpm: int,
        pitch: int,
        volume: int,
        end_pause: bool,
        on_chunk: Callable[[bytes], bool],
    ) -> bool:
        said = clean(text)
        if not said:
            return True
        encoded = said.encode()
        flags = _CHARS_UTF8 | (_END_PAUSE if end_pause else 0)
        with self._lock:
            self._select(voice)
            self._c.espeak_SetParameter(_PARAM_RATE, rate_wpm, 0)
            self._c.espeak_SetParameter(_PARAM_PITCH, pitch, 0)
            self._c.espeak_SetParameter(_PARAM_VOLUME, volume, 0)
            stopped = _Stopped(on_chunk)
            self._on_chunk = stopped
            try:
                self._c.espeak_Synth(
                    encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None
                )
            finally:
                self._on_chunk = None
                raised, self._raised = self._raised, None
        if raised is not None:
            raise raised
        return not stopped.by_caller

    def phonemes(self, text: str, voice: str, notation: Notation, separator: str) -> str:
        mode = _PHONEMES_IPA if notation == "ipa" else 0
        if separator:
            mode |= ord(separator) << 8
        clauses: list[str] = []
        with self._lock:
            self._select(voice)
            rest = ctypes.c_char_p(clean(text).encode())
            while rest.value:
                clause = self._c.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, mode)
                clauses.append((clause or b"").decode())
        words = _LANGUAGE_SWITCH.sub("", " ".join(clauses)).split()
        return " ".join(word.strip(separator) if separator else word for word in words)

    def _select(self, voice: str) -> None:
        if voice == self._voice:
            return
        self._voice = None
        try:
            file = voice_file(voice)
        except ValueError as error:
            raise _error("voice_unknown", str(error)) from error
        if self._c.espeak_SetVoiceByName(file.encode()) != 0:
            raise _error("voice_broken", f"espeak cannot load its voice {voice!r}")
        self._voice = voice

    def _receive(self, samples: int | None, count: int, _events: int | None) -> int:
        if not samples or count <= 0 or self._on_chunk is None:
            return _CONTINUE
        try:
            go_on = self._on_chunk(ctypes.string_at(samples, count * 2))
        except BaseException as error:  # ctypes would print and drop it; kept for the caller
            self._raised = error
            return _ABORT
        return _CONTINUE if go_on else _ABORT


class _Stopped:
    """``on_chunk``, remembering whether it asked to stop."""

    def __init__(self, on_chunk: Callable[[bytes], bool]) -> None:
        self._on_chunk = on_chunk
        self.by_caller = False

    def __call__(self, chunk: bytes) -> bool:
        go_on = self._on_chunk(chunk)
        self.by_caller = not go_on
        return go_on


def _load() -> Any:
    try:
        c = ctypes.CDLL(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
    except (OSError, RuntimeError) as error:
        raise _unavailable(str(error)) from error
    c.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    c.espeak_SetSynthCallback.argtypes = (_SynthCallback,)
    c.espeak_SetSynthCallback.restype = None
    c.espeak_SetParameter.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int)
    c.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
    c.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    c.espeak_TextToPhonemes.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    c.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rate_hz = c.espeak_Initialize(_OUTPUT_SYNCHRONOUS, CHUNK_MS, path, _INITIALIZE_DONT_EXIT)
    if rate_hz != NATIVE_RATE_HZ:
        raise _unavailable(f"espeak_Initialize answered {rate_hz}")
    return c


def _unavailable(detail: str) -> ProviderError:
    return _error(
        "library_unavailable",
        f"espeak-ng cannot be loaded ({detail}); pip install espeakng-loader",
    )


def _error(code: str, message: str) -> ProviderError:
    return ProviderError(code, message, provider="espeak", stage="tts", retryable=False)
