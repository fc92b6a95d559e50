"""Maps the errors of the operating system to a store's, in one place."""

from config.errors import StorageError
from storage.base import not_found


class FilesystemErrors:
    """Maps what is raised within it; ``kind/key`` names the object in messages.

    Args:
        writing: What is missing is a fault of the disk then, and not an object that is not there.
    """

    def __init__(self, kind: str, key: str, *, writing: bool = False) -> None:
        self._what = f"{kind}/{key}"
        self._writing = writing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        missing = isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError)
        if missing and not self._writing:
            raise not_found(self._what) from error
        denied = isinstance(error, PermissionError)
        code = "storage_denied" if denied else "storage_unavailable"
        raise StorageError(code, f"{self._what}: {error.strerror or error}") from error
