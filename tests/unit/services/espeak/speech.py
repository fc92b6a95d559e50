"""Sentences and measures that the tests of the synthesiser share."""

import numpy as np
import numpy.typing as npt

from services.espeak.engine import Manner, speak

#: "Hello. How can I help you today?", or near it, in every language that has a voice.
SENTENCES = {
    "en-IN": "Hello. How can I help you today?",
    "hi": "नमस्ते। आज मैं आपकी क्या मदद कर सकता हूँ?",
    "mr": "नमस्कार. आज मी तुम्हाला काय मदत करू शकतो?",
    "bn": "নমস্কার। আজ আমি আপনাকে কীভাবে সাহায্য করতে পারি?",
    "ta": "வணக்கம். இன்று நான் உங்களுக்கு எப்படி உதவ முடியும்?",
    "te": "నమస్కారం. ఈ రోజు నేను మీకు ఎలా సహాయం చేయగలను?",
    "gu": "નમસ્તે. આજે હું તમને કેવી રીતે મદદ કરી શકું?",
    "kn": "ನಮಸ್ಕಾರ. ಇಂದು ನಾನು ನಿಮಗೆ ಹೇಗೆ ಸಹಾಯ ಮಾಡಬಹುದು?",
    "ml": "നമസ്കാരം. ഇന്ന് ഞാൻ നിങ്ങളെ എങ്ങനെ സഹായിക്കണം?",
    "pa": "ਸਤ ਸ੍ਰੀ ਅਕਾਲ। ਅੱਜ ਮੈਂ ਤੁਹਾਡੀ ਕੀ ਮਦਦ ਕਰ ਸਕਦਾ ਹਾਂ?",
    "or": "ନମସ୍କାର। ଆଜି ମୁଁ ଆପଣଙ୍କୁ କିପରି ସାହାଯ୍ୟ କରିପାରିବି?",
    "as": "নমস্কাৰ। আজি মই আপোনাক কেনেকৈ সহায় কৰিব পাৰোঁ?",
    "ur": "السلام علیکم۔ آج میں آپ کی کیا مدد کر سکتا ہوں؟",
    "ne": "नमस्ते। आज म तपाईंलाई कसरी सहयोग गर्न सक्छु?",
    "kok": "नमस्कार. आयज हांव तुमकां कशी मजत करूं शकतां?",
    "sd": "سلام. اڄ مان توهان جي ڪهڙي مدد ڪري سگهان ٿو؟",
}

Samples = npt.NDArray[np.int16]


async def chunks_of(text: str, voice: str, rate_hz: int, **manner: int) -> list[bytes]:
    """Everything ``speak`` yields."""
    return [chunk async for chunk in speak(text, Manner(voice=voice, **manner), rate_hz)]


async def samples_of(text: str, voice: str, rate_hz: int, **manner: int) -> Samples:
    """The whole speech as samples."""
    return np.frombuffer(b"".join(await chunks_of(text, voice, rate_hz, **manner)), "<i2")


def pitch_hz(samples: Samples, rate_hz: int) -> float:
    """Median fundamental frequency over voiced stretches, by autocorrelation."""
    window = rate_hz // 20
    found: list[float] = []
    for start in range(0, len(samples) - window, window):
        part = samples[start : start + window].astype(np.float64)
        part -= part.mean()
        if np.abs(part).max() < 2000:
            continue
        echo = np.correlate(part, part, "full")[window - 1 :]
        low, high = rate_hz // 400, rate_hz // 60
        lag = low + int(np.argmax(echo[low:high]))
        if echo[lag] > 0.5 * echo[0]:
            found.append(rate_hz / lag)
    return float(np.median(found))
