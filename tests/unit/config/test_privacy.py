"""onnxruntime tells its makers nothing of this machine: looked at where it keeps its reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.privacy import VARIABLE

ROOT = Path(__file__).parents[3]
#: Packages one of whose modules loads onnxruntime.
LOADING = ("bot", "services", "bench")
#: What the server does with onnxruntime in its first call.
LOAD_VAD = "import bot.vad; bot.vad.VadEngine()"


def run(program: str, home: Path, **env: str) -> str:
    """In a process that has nothing from this one, as on a server that was just set up.

    It is quiet by itself where it sees that tests run; so nothing may say so.
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home)} | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_voice_activity_keeps_no_reports_for_the_makers_of_its_library(tmp_path: Path) -> None:
    run(LOAD_VAD, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", LOADING)
def test_a_package_that_loads_it_quiets_it_first(package: str, tmp_path: Path) -> None:
    assert run(f"import os, {package}; print(os.environ[{VARIABLE!r}])", tmp_path) == "1"


def test_what_the_operator_says_is_left(tmp_path: Path) -> None:
    shown = f"import os, bot; print(os.environ[{VARIABLE!r}])"
    assert run(shown, tmp_path, **{VARIABLE: "0"}) == "0"
