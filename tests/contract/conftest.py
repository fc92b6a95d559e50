"""Importing Pipecat warns of what it deprecates itself; that is let pass."""

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.tts_service
    import pipecat.tests.utils  # noqa: F401

from tests.unit.services.kenpath.keys import write_key


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables whose value is no key but the path of a file that holds one."""
    private, _ = write_key(tmp_path_factory.mktemp("keys"))
    return {"KENPATH_JWT_PRIVATE_KEY_PATH": str(private)}
