"""The closed list of why calls end: each is reached by a test of its own, and nothing else is."""

import ast
import re
from pathlib import Path

from bot.events import END_CAUSES

ROOT = Path(__file__).resolve().parent.parent
#: Cause to the test in which a call ends so.
REACHED = {
    "caller_hangup": "integration/test_calls_api.py::test_a_call_from_ringing_to_the_store",
    "agent_hangup": "integration/test_phone_call.py::test_a_call_is_answered_served_and_kept",
    "client_end": (
        "integration/test_client_protocol.py::test_every_format_in_text_and_binary_frames"
    ),
    "max_duration": (
        "integration/test_sessions.py::test_nobody_says_farewell_to_a_caller_who_has_gone"
    ),
    "silence": "integration/test_sessions.py::test_calls_end_by_themselves",
    # No carrier takes a call over yet: the server says whereto, and hangs up.
    "transferred": "unit/bot/test_tools.py::test_transfer_to_a_target_of_the_file",
    "no_start": "integration/test_vobiz.py::test_a_call_that_never_starts",
    "peer_lost": "integration/test_wire_faults.py::test_a_line_on_which_nothing_comes",
    "wire_error": (
        "integration/test_client_protocol.py::test_twenty_bad_messages_in_a_row_end_a_session"
    ),
    "provider_failed": "integration/test_stt_faults.py::"
    "test_with_nobody_left_the_caller_hears_an_apology_and_the_call_ends",
    "drained": "integration/test_command_line.py::test_calls_that_go_on_get_a_farewell",
    "internal_error": (
        "integration/test_sessions.py::test_a_failing_sink_or_reader_stays_with_its_call"
    ),
    "crash": (
        "integration/test_sealed_journal.py::test_a_killed_servers_journal_waits_for_its_key"
    ),
}


def _source(test: str) -> str:
    """A test with what decorates it."""
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise AssertionError(f"there is no test {test}")


def test_each_cause_is_reached() -> None:
    assert tuple(REACHED) == END_CAUSES
    for cause, test in REACHED.items():
        assert f'"{cause}"' in _source(test), f"{test} does not tell of {cause}"


def test_no_other_cause_is_given() -> None:
    """Wherever the code names a cause outright, it is one of the list."""
    named = re.compile(r"(?:\bcause=|CallEnded\(.*cause=|\._end\(|\.end\()\"([a-z_]+)\"")
    found: dict[str, str] = {}
    for folder in ("api", "bot", "serializer", "sessions"):
        for path in (ROOT.parent / folder).rglob("*.py"):
            for cause in named.findall(path.read_text()):
                found[cause] = str(path.relative_to(ROOT.parent))
    assert len(found) >= 5, "the pattern finds nothing any more: mend it"
    assert {cause: file for cause, file in found.items() if cause not in END_CAUSES} == {}
