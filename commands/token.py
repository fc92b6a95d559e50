"""``main.py token``: prints a token."""

import argparse

from config.settings import Settings

HELP = "print a token for a client program, or for the doors that show calls"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--agent", default="*", help="the one agent it is for; default: any")
    parser.add_argument("--subject", default="command-line", help="whom the token names")
    parser.add_argument(
        "--for",
        dest="audience",
        choices=("voice", "calls"),
        default="voice",
        help="what it opens: conversations (voice) or the doors that show calls (calls)",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print one token."""
    from sessions.dev_secret import jwt_secret
    from sessions.tokens import issue_token

    token = issue_token(
        jwt_secret(settings),
        subject=options.subject,
        agent=options.agent,
        audience=options.audience,
    )
    print(token)
    return 0
