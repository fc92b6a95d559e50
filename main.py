"""The voice server's command line: serve, call, check, token, schema."""

import argparse
import asyncio
import socket
import sys
from pathlib import Path
from urllib.request import urlopen

from config.errors import ConfigError, VoiceServerError
from config.logs import set_up_logging
from config.settings import Settings, load_settings

# What only one command needs is imported there: `--help` and `token` answer at once.

START_SECONDS = 30.0
PROBE_SECONDS = 1.0
#: What the caller says to the agents that ship, and in which language.
DEMO_CALLS: dict[str, tuple[list[str], str]] = {
    "default_agent": (["what are your opening hours", "goodbye"], "en-IN"),
    "helpline_hi": (["मंडी भाव बताइए", "[9]"], "hi"),
}


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

    command = commands.add_parser("serve", help="answer calls until stopped")
    command.add_argument("--host", help="address to listen on")
    command.add_argument("--port", type=int, help="port to listen on")
    command.add_argument("--log-level", type=str.upper, help="DEBUG, INFO, WARNING or ERROR")
    command.set_defaults(run=_serve)

    command = commands.add_parser(
        "call", help="place a simulated phone call to a server, or to one it starts"
    )
    command.add_argument("--url", help="server to call; default: the local one, or a new one")
    command.add_argument("--agent", default="default_agent", help="agent to talk to")
    command.add_argument("--say", action="append", help="what to say; may be given several times")
    command.add_argument("--language", help="language of what is said, such as hi")
    command.add_argument("--plot", action="store_true", help="draw both sides of the call")
    command.set_defaults(run=_call)

    command = commands.add_parser("check", help="check agent files and say what is wrong")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument(
        "--no-secrets", action="store_true", help="do not mind keys that are not set"
    )
    command.set_defaults(run=_check)

    command = commands.add_parser("token", help="print a token for a client program")
    command.add_argument("--agent", default="*", help="the one agent it is for; default: any")
    command.add_argument("--subject", default="command-line", help="whom the token names")
    command.set_defaults(run=_token)

    command = commands.add_parser("schema", help="rewrite the agents' JSON Schema and env.example")
    command.set_defaults(run=_schema)
    return parser


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    server = settings.server.model_copy(
        update={k: v for k in ("host", "port") if (v := getattr(options, k)) is not None}
    )
    from api.serve import serve

    changed: dict[str, object] = {"server": server}
    if options.log_level:
        changed["log_level"] = options.log_level
        set_up_logging(options.log_level)
    return serve(settings.model_copy(update=changed))


def _call(options: argparse.Namespace, settings: Settings) -> int:
    return asyncio.run(_place_call(options, settings))


async def _place_call(options: argparse.Namespace, settings: Settings) -> int:
    """Call a server that runs, or start one for the length of the call."""
    from simulators.caller.demo import run_demo_call

    server = settings.server
    url = options.url or f"http://{server.host}:{server.port}"
    started: asyncio.subprocess.Process | None = None
    if not await _is_up(url):
        if options.url:
            raise ConfigError(f"no server answers at {url}; start one with `make run`")
        started, url = await _start_server()
    try:
        say, language = _words(options)
        await run_demo_call(url, options.agent, language, say, print, plot=options.plot)
    finally:
        if started is not None:
            started.terminate()
            await started.wait()
    return 0


def _words(options: argparse.Namespace) -> tuple[list[str], str]:
    """What to say and in which language; the shipped agents have their own demonstration."""
    lines, language = DEMO_CALLS.get(options.agent, DEMO_CALLS["default_agent"])
    return options.say or lines, options.language or language


async def _is_up(url: str) -> bool:
    return await asyncio.to_thread(_answers, f"{url}/health/live")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PROBE_SECONDS) as answer:
            status: int = answer.status
    except OSError:
        return False
    return status == 200


async def _start_server() -> tuple[asyncio.subprocess.Process, str]:
    """A server of our own on a free port, and its address."""
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "serve", "--port", str(port), "--log-level", "warning"
    )
    print(f"no server was running: started one on port {port} for this call")
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not await _is_up(f"http://127.0.0.1:{port}"):
        if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
            raise ConfigError("the server did not start; run `make run` to see why")
        await asyncio.sleep(0.1)
    return process, f"http://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _check(options: argparse.Namespace, settings: Settings) -> int:
    from config.report import checked_file
    from services.registry import catalog

    failed = 0
    for file in options.files:
        try:
            print(checked_file(file, catalog, settings, installation=not options.no_secrets))
        except ConfigError as error:
            failed += 1
            print(error.message, file=sys.stderr)
    return 1 if failed else 0


def _token(options: argparse.Namespace, settings: Settings) -> int:
    from sessions.dev_secret import jwt_secret
    from sessions.tokens import issue_token

    print(issue_token(jwt_secret(settings), subject=options.subject, agent=options.agent))
    return 0


def _schema(_options: argparse.Namespace, _settings: Settings) -> int:
    from config.schema import generated_files
    from services.registry import catalog

    for path, text in generated_files(catalog).items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
