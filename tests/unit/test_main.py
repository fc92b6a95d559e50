"""The command line as a user meets it: what it says, and how it ends."""

import json
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

import main
from config.settings import load_settings
from sessions.dev_secret import jwt_secret
from sessions.tokens import OPERATOR_AUDIENCE, verify_token

AGENTS = Path(main.__file__).parent / "agent_configs"


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no call of the machine's own; log lines stay as the tests have them."""
    for name in ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY", "JWT_SECRET", "HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(main, "set_up_logging", lambda level: None)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main.main(list(arguments))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("command", ["serve", "call", "check", "providers", "token", "schema"])
def test_help_helps(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], [command, "--help"]):
        with pytest.raises(SystemExit) as end:
            main.main(arguments)
        assert end.value.code == 0
        assert command in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["check"], ["providers", "--kind", "sst"], ["token", "--for", "everything"]],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_check_says_what_is_good_and_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = str(AGENTS / "default_agent.json")
    code, out, err = run(capsys, "check", good)
    assert (code, err) == (0, "")
    assert "good: agent default_agent" in out
    broken = tmp_path / "broken.yaml"
    broken.write_text("greting: Hello\nstt: {provider: offlin}\n")
    code, out, err = run(capsys, "check", good, str(broken), str(tmp_path / "none.json"))
    assert code == 1
    assert "good: agent default_agent" in out
    assert "broken.yaml:1: greting" in err and "greeting" in err
    assert "broken.yaml:2: stt.provider" in err and "offline" in err
    assert "none.json" in err


def test_check_may_leave_keys_out(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(AGENTS / "sales_agent.json")
    code, _, err = run(capsys, "check", file)
    assert code == 1 and "OPENAI_API_KEY" in err
    assert run(capsys, "check", "--no-secrets", file)[0] == 0


def test_check_shows_a_voicera_file_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "old.json"
    file.write_text(
        '{"agent_id": "old", "language": "Hindi", "greeting_message": "नमस्ते",'
        ' "stt_model": {"name": "deepgram"}, "llm_model": {"name": "openai"},'
        ' "tts_model": {"name": "cartesia"}}'
    )
    code, out, err = run(capsys, "check", "--no-secrets", str(file))
    assert code == 0, err
    assert '"greeting": "नमस्ते"' in out


def test_providers_lists_who_has_a_language(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "providers")
    assert (code, err) == (0, "")
    assert "deepgram: Deepgram [installed, not configured]" in out
    assert max(map(len, out.splitlines())) <= 100
    code, out, _ = run(capsys, "providers", "--kind", "stt", "--language", "Sanskrit", "--json")
    found = json.loads(out)
    assert code == 0
    assert found == sorted(found, key=lambda provider: provider["name"])
    assert {provider["kind"] for provider in found} == {"stt"}
    assert "sa" in found[0]["languages"]
    code, _, err = run(capsys, "providers", "--language", "Tamul")
    assert code == 1
    assert "did you mean 'Tamil' (ta)?" in err


def test_providers_reads_the_configuration_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = secrets.token_hex(16)
    config = tmp_path / "config.yaml"
    config.write_text(
        f"stt: {{deepgram: {{api_key: {key}, base_url: 'wss://u:{key}@x.example'}}}}\n"
    )
    for options in ([], ["--json"]):
        code, out, err = run(capsys, "--config", str(config), "providers", *options)
        assert (code, err) == (0, "")
        assert "wss://x.example" in out
        assert key not in out
    code, _, err = run(capsys, "--config", str(tmp_path / "none.yaml"), "providers")
    assert code == 1 and "none.yaml" in err


def test_token_is_one_that_a_server_takes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "token", "--agent", "brisk", "--subject", "me")
    secret = jwt_secret(load_settings(env=None))
    client = verify_token(secret, out.strip())
    assert (code, client.subject, client.agent) == (0, "me", "brisk")
    _, out, _ = run(capsys, "token", "--for", "calls")
    assert verify_token(secret, out.strip(), audience=OPERATOR_AUDIENCE).agent == "*"
    claims = jwt.decode(out.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] <= 900


def test_token_needs_a_key_in_production(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    code, out, err = run(capsys, "token")
    assert (code, out) == (1, "")
    assert "JWT_SECRET is not set" in err
    monkeypatch.setenv("JWT_SECRET", secrets.token_hex(32))
    assert run(capsys, "token")[0] == 0


def test_serve_refuses_what_it_cannot_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run(capsys, "serve", "--port", str(port))
    assert code == 1 and f"port {port} on 127.0.0.1 is taken" in err
    code, _, err = run(capsys, "serve", "--port", "70000")
    assert code == 1 and "server.port" in err
    code, _, err = run(capsys, "serve", "--log-level", "loud")
    assert code == 1 and "log_level" in err
    code, _, err = run(capsys, "serve", "--host", "0.0.0.0")
    assert code == 1 and "JWT_SECRET" in err
    monkeypatch.setenv("AGENTS_DIR", str(tmp_path / "missing"))
    code, _, err = run(capsys, "serve", "--port", "0")
    assert code == 1 and "missing: the folder of agent files cannot be read" in err
    config = tmp_path / "config.yaml"
    config.write_text("stt: {provider: offlin}\n")
    code, _, err = run(capsys, "--config", str(config), "serve", "--port", "0")
    assert code == 1 and "config.yaml:1: stt.provider" in err and "offline" in err


def test_call_says_that_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    # Taken, so that nobody else takes it, and not listened on.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        code, _, err = run(capsys, "call", "--url", f"http://127.0.0.1:{port}")
    assert code == 1
    assert err == f"no server answers at http://127.0.0.1:{port}; start one with `make run`\n"
    code, _, err = run(capsys, "call", "--url", "nonsense")
    assert code == 1 and "no server answers at nonsense" in err


def test_a_signal_ends_it_also_where_exceptions_are_swallowed() -> None:
    """As in the callbacks by which Python's imports forget their locks."""
    program = (
        "import signal, weakref\n"
        "from commands import serve\n"
        "class Lock: ...\n"
        "lock = Lock()\n"
        "forget = weakref.ref(lock, lambda _: serve._stopped_early(signal.SIGTERM, None))\n"
        "del lock\n"
        "print('went on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=AGENTS.parent, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "SIGTERM: stopped before the first call was taken\n"
