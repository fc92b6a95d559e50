"""onnxruntime, told not to report on this machine to its makers.

From 1.29 on, on Linux too, it looks up ``mobile.events.data.microsoft.com`` and sends it which
models run how often on what machine; until that works it keeps the reports in a database in the
user's cache folder, which the server's process then writes. It reads its variable when it is
loaded, and what holds at that moment holds for the life of the process. Therefore the packages
whose modules load it import this one before anything else.

What the environment says already is left as it is: an operator may wish to report.
"""

import os
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"

os.environ.setdefault(VARIABLE, "1")
