"""What every command is: a module here, of the name by which it is called.

All of them are imported for any one, so what only one needs is imported when it runs: ``--help``
and ``token`` answer at once.
"""

import argparse
from typing import Protocol

from config.settings import Settings


class Command(Protocol):
    """What ``main.py`` asks of a command's module.

    Attributes:
        HELP: What it does, in a line of ``--help``.
    """

    HELP: str

    def arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Say what it takes."""

    def run(self, options: argparse.Namespace, settings: Settings, /) -> int:
        """Do it.

        Returns:
            The process's exit code: 0 for success, 1 for a refusal.

        Raises:
            VoiceServerError: What is wrong, in words for whoever called it.
        """
