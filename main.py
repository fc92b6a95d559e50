"""The voice server's command line: serve, call, check, providers, token, recover, erase, schema.

What each command takes and does is in the module of its name in ``commands/``.
"""

import argparse
import sys
from pathlib import Path

from commands import call, check, erase, providers, recover, schema, serve, token
from commands.command import Command
from config.errors import VoiceServerError
from config.leaving import leave_within
from config.logs import set_up_logging
from config.settings import load_settings

#: In the order in which ``--help`` lists them.
COMMANDS: dict[str, Command] = {
    "serve": serve,
    "call": call,
    "check": check,
    "providers": providers,
    "token": token,
    "recover": recover,
    "erase": erase,
    "schema": schema,
}
#: How long threads that are still busy when all is done may be.
LEAVE_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The process's exit code: 0 for success, 1 for a refusal, 2 for wrong usage.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config)
        set_up_logging(settings.log_level if options.command == "serve" else "WARNING")
        code: int = options.run(options, settings)
    except VoiceServerError as error:
        print(error.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="main.py", description="A telephony voice server for Indian languages."
    )
    parser.add_argument("--config", type=Path, help="configuration file (config/config.yaml)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        its_own = commands.add_parser(name, help=command.HELP)
        command.arguments(its_own)
        its_own.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    exit_code = main()
    # The interpreter waits for threads: one that a store hangs in must not keep the process.
    leave_within(LEAVE_SECONDS, exit_code)
    sys.exit(exit_code)
