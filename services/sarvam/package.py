"""Pipecat's realtime recogniser for Sarvam, without Sarvam's own package.

Pipecat 1.14 keeps two services in one module. The older one needs the package ``sarvamai``; the
realtime one, which alone is used here, speaks over a plain WebSocket. Where the package is
missing, empty names stand in for it while that module is imported, and are gone afterwards.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

_NAMES = {
    "sarvamai": ("AsyncSarvamAI",),
    "sarvamai.core": (),
    "sarvamai.core.api_error": ("ApiError",),
    "sarvamai.core.events": ("EventType",),
    "sarvamai.core.request_options": ("RequestOptions",),
}


@contextmanager
def _stand_ins() -> Iterator[None]:
    if find_spec("sarvamai") is not None:
        yield
        return
    for name, attributes in _NAMES.items():
        module = ModuleType(name)
        for attribute in attributes:
            setattr(module, attribute, type(attribute, (Exception,), {}))
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in _NAMES:
            sys.modules.pop(name, None)


with _stand_ins():
    from pipecat.services.sarvam.stt import SarvamRealtimeSTTService

__all__ = ["SarvamRealtimeSTTService"]
