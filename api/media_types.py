"""Which of several forms ``Accept`` likes best (RFC 9110, section 12.5.1)."""

from collections.abc import Mapping
from typing import TypeVar

Form = TypeVar("Form", bound=str)

MAX_RANGES = 50


def preferred(accept: str | None, forms: Mapping[str, Form]) -> Form | None:
    """The form that is liked best, the first of equals; None where all are refused.

    Args:
        accept: The header; without one, every form is as good.
        forms: Media type to form, our favourite first.
    """
    if accept is None or not accept.strip():
        return next(iter(forms.values()))
    ranges = [_media_range(part) for part in accept.split(",")[:MAX_RANGES]]
    best: tuple[float, Form] | None = None
    for media_type, form in forms.items():
        quality = _quality(media_type, ranges)
        if quality > (best[0] if best else 0.0):
            best = (quality, form)
    return best[1] if best else None


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 0.0
    return name, quality if quality == quality else 0.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Of the most specific range that fits."""
    family = f"{media_type.partition('/')[0]}/*"
    for fitting in (media_type, family, "*/*"):
        found = [quality for name, quality in ranges if name == fitting]
        if found:
            return max(found)
    return 0.0
