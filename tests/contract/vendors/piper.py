"""What the contract tests must know of Piper: no voice can be had here, so one that hums."""

import atexit
import tempfile
from pathlib import Path

from tests.unit.services.piper.voice import write_voice

_FOLDER = tempfile.TemporaryDirectory(prefix="voices")
atexit.register(_FOLDER.cleanup)

LEAST = {("tts", "piper"): {"voice": str(write_voice(Path(_FOLDER.name)))}}
