"""What Vobiz posts."""

from datetime import UTC, datetime, timedelta

from simulators.caller.vobiz_webhooks import (
    CALLER_HUNG_UP,
    CallFacts,
    signature_headers,
)

START = datetime(2026, 11, 1, 20, 30, 0, 123456, tzinfo=UTC)
FACTS = CallFacts(
    call_id="6d1f-1",
    from_number="00000000001",
    to_number="910000000002",
    direction="inbound",
    parent_auth_id="MA_EXAMPLE",
    session_start=START,
)


def test_the_signature_matches_the_vector_and_leaves_out_the_query() -> None:
    headers = signature_headers(
        "https://voice.example.in/answer?agent_id=a1", "example-auth-token-0001", "1234567890" * 2
    )
    assert headers == {
        "X-Vobiz-Signature-V2": "hOdRcK9XoGWPg1zdsi9ita0XcJUViv+OAa8437ZbyFA=",
        "X-Vobiz-Signature-V2-Nonce": "12345678901234567890",
        "X-Vobiz-Signature-V3": "zekYWctDE8/pHfq2Voc/b6tyFmc50UzEB+1OF/wBaQs=",
        "X-Vobiz-Signature-V3-Nonce": "12345678901234567890",
    }
    nonce = signature_headers("https://a.in/", "token")["X-Vobiz-Signature-V2-Nonce"]
    assert len(nonce) == 20
    assert nonce.isdigit()


def test_the_answer_form_has_the_documented_fields() -> None:
    form = FACTS.answer_form()
    assert set(form) == set(
        "CallUUID RequestUUID ALegUUID ALegRequestUUID From To Direction Event CallStatus "  # noqa: SIM905
        "SessionStart STIRVerification STIRAttestation BillRate CountryCode RouteType "
        "ParentAuthID".split()
    )
    assert (form["Event"], form["CallStatus"]) == ("StartApp", "ringing")
    assert form["SessionStart"] == "2026-11-01 20:30:00.123456"


def test_the_hangup_form_has_utc_start_and_indian_times() -> None:
    form = FACTS.hangup_form(
        answered=START + timedelta(seconds=3),
        ended=START + timedelta(seconds=64.2),
        cause=CALLER_HUNG_UP,
    )
    assert form["SessionStart"] == "2026-11-01 20:30:00.123456"
    assert form["StartTime"] == "2026-11-02 02:00:00"
    assert form["AnswerTime"] == "2026-11-02 02:00:03"
    assert form["EndTime"] == "2026-11-02 02:01:04"
    assert (form["Duration"], form["BillDuration"]) == ("61", "120")
    assert (form["Event"], form["CallStatus"]) == ("Hangup", "completed")
    assert (form["HangupCauseCode"], form["HangupCauseName"], form["HangupSource"]) == (
        "4000",
        "Normal Hangup",
        "Caller",
    )


def test_a_call_that_was_not_answered_has_no_length() -> None:
    form = FACTS.hangup_form(answered=None, ended=START, cause=CALLER_HUNG_UP)
    assert (form["CallStatus"], form["AnswerTime"], form["Duration"]) == ("failed", "", "0")
