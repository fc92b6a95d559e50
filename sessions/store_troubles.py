"""Why calls were not stored at once, for their records and for metrics."""

import traceback
from pathlib import Path

import msgspec

from config.errors import StorageError
from sessions import metrics
from sessions.build import BuiltCall
from sessions.record import DegradedRecord


class StoreTroubles:
    """The first failure of the store with each call that waits."""

    def __init__(self) -> None:
        self._first: dict[Path, StorageError] = {}

    def note(self, folder: Path, error: StorageError) -> None:
        """Count a call that the store does not take, once."""
        if folder not in self._first:
            # Not the error itself: its frames hold the files of a sealed call open.
            self._first[folder] = StorageError(error.code, error.message)
            metrics.ERRORS.labels("storage", error.code).inc()

    def over(self, folder: Path) -> None:
        """It does not wait any more."""
        self._first.pop(folder, None)

    def told(self, folder: Path, built: BuiltCall) -> BuiltCall:
        """The call, with word in its record of why it is stored so late."""
        error, record = self._first.get(folder), built.record
        if error is None:
            return built
        late = DegradedRecord(
            at_ms=record.duration_seconds * 1000,
            stage="storage",
            kind=error.code,
            provider=None,
            detail=error.message,
        )
        record = msgspec.structs.replace(record, degraded=[*record.degraded, late])
        return msgspec.structs.replace(built, record=record)


def let_go(error: BaseException | None) -> None:
    """Have a failure hold no files: whoever keeps it, for a log or a test, keeps its frames."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
