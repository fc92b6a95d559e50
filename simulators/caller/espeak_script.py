"""Says one sentence: JSON on standard input, raw audio on standard output.

Run as a script by :class:`simulators.speech.Speech`; espeak-ng keeps global state, so it
lives in a process of its own that ends after the sentence.

Input: ``{"text", "voice", "rate_wpm", "pitch"}``. Output: the sample rate in Hz as four
little-endian bytes, then 16-bit little-endian mono samples. A voice that espeak-ng lacks ends
the script with status 3.
"""

import ctypes
import json
import sys

import espeakng_loader

_SYNCHRONOUS_OUTPUT = 2
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_PARAMETER_RATE = 1
_PARAMETER_PITCH = 3
_BUFFER_MS = 200
_DONT_EXIT_ON_ERROR = 0x8000

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def say(text: str, voice: str, rate_wpm: int, pitch: int) -> tuple[int, bytes]:
    """Synthesise ``text``.

    Returns:
        The sample rate in Hz and the samples, 16-bit native-endian mono.

    Raises:
        LookupError: espeak-ng has no such voice.
        RuntimeError: espeak-ng could not start or speak.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data_path = espeakng_loader.get_data_path().encode()
    rate_hz = library.espeak_Initialize(
        _SYNCHRONOUS_OUTPUT, _BUFFER_MS, data_path, _DONT_EXIT_ON_ERROR
    )
    if rate_hz <= 0:
        raise RuntimeError("espeak-ng does not start")
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise LookupError(f"espeak-ng has no voice {voice!r}")
    library.espeak_SetParameter(_PARAMETER_RATE, rate_wpm, 0)
    library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
    pieces: list[bytes] = []

    def collect(samples: object, count: int, _events: object) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, count * 2))  # type: ignore[arg-type]
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    encoded = text.encode()
    status = library.espeak_Synth(
        encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
    )
    if status != 0:
        raise RuntimeError(f"espeak-ng does not speak (status {status})")
    library.espeak_Synchronize()
    return rate_hz, b"".join(pieces)


def main() -> int:
    """Read one request, write its audio."""
    request = json.load(sys.stdin)
    try:
        rate_hz, samples = say(
            request["text"], request["voice"], request["rate_wpm"], request["pitch"]
        )
    except LookupError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.buffer.write(rate_hz.to_bytes(4, "little") + samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
