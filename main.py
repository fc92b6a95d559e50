"""The voice server's command line: serve, call, check, providers, token, recover, erase, schema."""

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from config.errors import AdmissionError, ConfigError, VoiceServerError
from config.leaving import leave_within
from config.logs import set_up_logging
from config.settings import Settings, load_settings

# What only one command needs is imported there: `--help` and `token` answer at once.

THIS_FILE = str(Path(__file__).resolve())
START_SECONDS = 30.0
STOP_SECONDS = 20.0
PROBE_SECONDS = 1.0
#: How long threads that are still busy when all is done may be.
LEAVE_SECONDS = 5.0
#: What the caller says to the agents that ship, and in which language.
DEMO_CALLS: dict[str, tuple[list[str], str]] = {
    "default_agent": (["what are your opening hours", "goodbye"], "en-IN"),
    "helpline_hi": (["मंडी भाव बताइए", "गेहूँ का भाव", "धन्यवाद नमस्ते"], "hi"),
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

    command = commands.add_parser(
        "providers", help="list the vendors, what each needs, and whether that is here"
    )
    command.add_argument("--kind", choices=("stt", "llm", "tts"), help="only those of one kind")
    command.add_argument("--language", help="only those that have it, such as ta or Tamil")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(run=_providers)

    command = commands.add_parser(
        "token", help="print a token for a client program, or for the doors that show calls"
    )
    command.add_argument("--agent", default="*", help="the one agent it is for; default: any")
    command.add_argument("--subject", default="command-line", help="whom the token names")
    command.add_argument(
        "--for",
        dest="audience",
        choices=("voice", "calls"),
        default="voice",
        help="what it opens: conversations (voice) or the doors that show calls (calls)",
    )
    command.set_defaults(run=_token)

    command = commands.add_parser(
        "recover", help="store the calls that a server left when it died, and mend the index"
    )
    command.add_argument(
        "--index", action="store_true", help="make the index of calls again from the store"
    )
    command.set_defaults(run=_recover)

    command = commands.add_parser(
        "erase", help="erase the calls of a telephone number, and print the proof"
    )
    command.add_argument("--number", required=True, help="such as +919812345678")
    command.add_argument("--dry-run", action="store_true", help="only list what would be erased")
    command.set_defaults(run=_erase)

    command = commands.add_parser(
        "schema", help="rewrite the files that are made from the models: see `make schema`"
    )
    command.set_defaults(run=_schema)
    return parser


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    server = {k: v for k in ("host", "port") if (v := getattr(options, k)) is not None}
    changes: dict[str, object] = {"server": {**settings.server.model_dump(), **server}}
    if options.log_level:
        changes["log_level"] = options.log_level
    settings = settings.changed(changes)
    set_up_logging(settings.log_level)
    from api.serve import serve

    return serve(settings)


def _call(options: argparse.Namespace, settings: Settings) -> int:
    from simulators.caller.vobiz_answer import AnswerRejected
    from simulators.speech import SpeechError

    try:
        return asyncio.run(_place_call(options, settings))
    except AnswerRejected as error:
        raise AdmissionError("call_refused", f"the call was not taken: {error}") from error
    except ConnectionError as error:
        raise AdmissionError("call_lost", f"the server is not there any more: {error}") from error
    except SpeechError as error:
        raise ConfigError(f"this cannot be said: {error}") from error


async def _place_call(options: argparse.Namespace, settings: Settings) -> int:
    """Call a server that runs, or start one for the length of the call."""
    from simulators.caller.demo import run_demo_call

    url = (options.url or _local_url(settings)).rstrip("/")
    say, language = _words(options)
    token = _operator_token(settings)
    async with AsyncExitStack() as stack:
        if not await _is_up(url):
            if options.url:
                raise ConfigError(f"no server answers at {url}; start one with `make run`")
            url = await stack.enter_async_context(_own_server(options))
        await run_demo_call(
            url, options.agent, language, say, _show, plot=options.plot, token=token
        )
    return 0


def _show(line: str) -> None:
    """At once, also where the output goes into a file or another program."""
    print(line, flush=True)


def _words(options: argparse.Namespace) -> tuple[list[str], str]:
    """What to say and in which language; the shipped agents have their own demonstration."""
    lines, language = DEMO_CALLS.get(options.agent, DEMO_CALLS["default_agent"])
    return options.say or lines, options.language or language


def _local_url(settings: Settings) -> str:
    host = settings.server.host
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def _operator_token(settings: Settings) -> str | None:
    """For the doors that show transcript and record; None where no key is known here."""
    from sessions.dev_secret import jwt_secret
    from sessions.tokens import OPERATOR_AUDIENCE, issue_token

    try:
        secret = jwt_secret(settings)
    except ConfigError:
        return None
    return issue_token(secret, subject="command-line", audience=OPERATOR_AUDIENCE)


async def _is_up(url: str) -> bool:
    return await asyncio.to_thread(_answers, f"{url}/health/live")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=PROBE_SECONDS) as answer:
            status: int = answer.status
    except (OSError, HTTPException, ValueError):
        return False
    return status == 200


@asynccontextmanager
async def _own_server(options: argparse.Namespace) -> AsyncIterator[str]:
    """A server on a free port, and its address; stopped at the end."""
    port = _free_port()
    config = ["--config", str(options.config)] if options.config else []
    address = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error"]
    command = [sys.executable, THIS_FILE, *config, "serve", *address]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        _show(f"no server was running: started one on port {port} for this call")
        url = f"http://127.0.0.1:{port}"
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not await _is_up(url):
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise ConfigError("the server did not start; run `make run` to see why")
            await asyncio.sleep(0.1)
        yield url
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    for end in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        end()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            continue


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


def _providers(options: argparse.Namespace, settings: Settings) -> int:
    from config.languages import resolve_language
    from config.provider_report import as_json, as_text, provider_reports
    from services.registry import catalog

    language = resolve_language(options.language) if options.language else None
    reports = provider_reports(catalog, settings, kind=options.kind, language=language)
    print(as_json(reports) if options.json else as_text(reports))
    if not reports:
        print(f"no provider here has the language {language}", file=sys.stderr)
    return 0 if reports else 1


def _token(options: argparse.Namespace, settings: Settings) -> int:
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


def _recover(options: argparse.Namespace, settings: Settings) -> int:
    from sessions.journal_seal import use_journal_keys
    from sessions.recovery import recover_calls, recover_index

    if settings.storage.journal_key is not None:
        use_journal_keys(settings.storage.journal_key)
    calls = asyncio.run(recover_calls(settings))
    for call in calls.stored:
        _show(f"stored {call.record_url}")
    for session_id, reason in calls.failed.items():
        print(f"call {session_id} still waits: {reason}", file=sys.stderr)
    _show(f"{len(calls.stored)} calls were left and are stored now, {len(calls.failed)} still wait")
    if calls.left:
        _show(
            f"{len(calls.left)} calls are left to the next start of the server, which also tells "
            "the backend and webhooks of them"
        )
    if options.index:
        index = asyncio.run(recover_index(settings))
        _show(
            f"index: {index.stored} stored calls, {index.waiting} that wait, {index.removed} rows "
            f"removed, {index.unreadable} records or journals unreadable"
        )
    return 1 if calls.failed else 0


def _erase(options: argparse.Namespace, settings: Settings) -> int:
    from sessions.erase_command import run_erase

    text, complete = asyncio.run(run_erase(settings, options.number, dry_run=options.dry_run))
    print(text)
    if not complete:
        print("not everything could be erased now: see `pending`, run it again", file=sys.stderr)
    return 0 if complete else 1


def _schema(_options: argparse.Namespace, _settings: Settings) -> int:
    from config.schema import generated_files
    from services.registry import catalog

    for path, text in generated_files(catalog).items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    exit_code = main()
    # The interpreter waits for threads: one that a store hangs in must not keep the process.
    leave_within(LEAVE_SECONDS, exit_code)
    sys.exit(exit_code)
