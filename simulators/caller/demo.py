"""A phone call to watch: places it, prints what is said while it is said, and what came of it."""

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp

from simulators.caller.leg import CallClosed, CallTimeout, TranscriptLine
from simulators.caller.report import CallReport, report_of
from simulators.caller.ticker import Ticker
from simulators.caller.vobiz import VobizCaller
from simulators.speech import Speech, Voice

STORED: Final = ("recording", "transcript", "record")
_KEYS: Final = re.compile(r"\[([0-9*#]+)\]")
_WATCH_SECONDS: Final = 5.0
_STORED_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.2
_RINGING_SECONDS: Final = 0.5
_LAST_LINES_SECONDS: Final = 2.0
_QUIET_MS: Final = 900.0
_REPLY_TIMEOUT_MS: Final = 20_000.0


async def run_demo_call(
    base_url: str,
    agent_id: str,
    language: str,
    lines: Sequence[str],
    on_line: Callable[[str], None],
    *,
    variant: str = "f2",
    token: str | None = None,
    plot: bool = False,
    speech: Speech | None = None,
    ticker: Ticker | None = None,
) -> CallReport:
    """Call an agent as Vobiz does, say ``lines`` with espeak-ng and print the call.

    Args:
        base_url: The server, such as ``http://127.0.0.1:7860``.
        language: BCP-47 code of the caller's speech.
        lines: What the caller says, one turn each; ``[12#]`` presses keys instead.
        on_line: Receives each line to show.
        variant: espeak-ng voice variant of the caller.
        token: Bearer token for the doors that show transcript and record.
        plot: Draw both sides of the call at its end.
        ticker: The clock; real time by default.

    Returns:
        The call as measured at the caller's end, with the places where it was stored.

    Raises:
        AnswerRejected: The server's answer to the webhook is not one a carrier would accept.
        ConnectionError: The server cannot be reached, or refused the call.
        SpeechError: espeak-ng cannot speak ``language``.
    """
    base_url = base_url.rstrip("/")
    caller = VobizCaller(
        answer_url=f"{base_url}/answer?agent_id={quote(agent_id, safe='')}",
        hangup_url=f"{base_url}/hangup",
        voice=Voice(language, variant),
        speech=speech,
        ticker=ticker,
    )
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for line in lines:
        if not _KEYS.fullmatch(line):
            await caller.phrase(line)
    on_line(f"calling agent {agent_id} at {base_url}, call {caller.call_id}")
    async with aiohttp.ClientSession(headers=headers) as session:
        watching = asyncio.Event()
        watch = asyncio.create_task(_watch(session, base_url, caller, on_line, watching))
        try:
            # Ringing: a server that lets us subscribe now shows the greeting as well.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watching.wait(), _RINGING_SECONDS)
            async with caller:
                await _talk(caller, lines, on_line)
        finally:
            if caller.ended_ms is not None:
                # The last lines are on their way; the server closes when the call is over.
                await asyncio.wait({watch}, timeout=_LAST_LINES_SECONDS)
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        stored = await _stored(session, base_url, caller.call_id)
    report = report_of(caller, stored=tuple(stored.items()))
    for text in _closing_lines(report) + (["", report.plot()] if plot else []):
        on_line(text)
    return report


async def _talk(caller: VobizCaller, lines: Sequence[str], on_line: Callable[[str], None]) -> None:
    on_line(f"{_at(caller)}  · the webhook answered in {caller.log.answer_ms or 0:.0f} ms")
    try:
        first_ms = await caller.wait_for_speech(_REPLY_TIMEOUT_MS)
        on_line(f"{_at(caller)}  · first audio {first_ms:.0f} ms after start")
        await caller.listen_until_quiet(_QUIET_MS, _REPLY_TIMEOUT_MS)
        for line in lines:
            await _take_turn(caller, line, on_line)
    except CallClosed:
        on_line(f"{_at(caller)}  · the agent ended the call ({caller.close_reason})")
    except CallTimeout as error:
        on_line(f"{_at(caller)}  · {error}")


async def _take_turn(caller: VobizCaller, line: str, on_line: Callable[[str], None]) -> None:
    keys = _KEYS.fullmatch(line)
    before = len(caller.turns())
    try:
        if keys is not None:
            caller.press(keys[1])
        else:
            await caller.say(line)
        await caller.listen_until_quiet(_QUIET_MS, _REPLY_TIMEOUT_MS)
    finally:
        what = f"keys {keys[1]}" if keys is not None else f"“{line}”"
        for turn in caller.turns()[before:][-1:]:
            if turn.response_ms is not None:
                on_line(f"{_at(caller)}  · {what} answered in {turn.response_ms:.0f} ms")


async def _watch(
    session: aiohttp.ClientSession,
    base_url: str,
    caller: VobizCaller,
    on_line: Callable[[str], None],
    watching: asyncio.Event,
) -> None:
    """Show the transcript as the server tells it; the call goes on without."""
    parts = urlsplit(base_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    url = f"{scheme}://{parts.netloc}{parts.path}/ws/transcription/{caller.call_id}"
    try:
        async with asyncio.timeout(_WATCH_SECONDS):
            socket = await _subscribe(session, url)
    except TimeoutError:
        on_line("no live transcript: the server does not offer one for this call")
        return
    watching.set()
    async with socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                _show(message.data, caller, on_line)


async def _subscribe(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientWebSocketResponse:
    while True:
        try:
            return await session.ws_connect(url, heartbeat=10.0, max_msg_size=1 << 20)
        except aiohttp.ClientError:
            await asyncio.sleep(_POLL_SECONDS)


def _show(data: str, caller: VobizCaller, on_line: Callable[[str], None]) -> None:
    try:
        event = json.loads(data)
    except ValueError:
        return
    if not isinstance(event, Mapping) or event.get("type") != "transcription":
        return
    speaker, text = event.get("speaker"), event.get("text")
    if event.get("final") is not True or not isinstance(text, str) or not text:
        return
    if speaker == "caller" or speaker == "agent":
        caller.transcript.append(TranscriptLine(caller.now_ms, speaker, text))
        on_line(f"{_at(caller)}  {speaker:<6}  {text}")


async def _stored(session: aiohttp.ClientSession, base_url: str, call_id: str) -> dict[str, str]:
    """Ask for the call until its record is stored, which comes last, or for twenty seconds."""
    places: dict[str, str] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STORED_SECONDS):
            while "record" not in places:
                record = await _record(session, f"{base_url}/api/v1/calls/{quote(call_id)}")
                places = {name: str(record[name]) for name in STORED if record.get(name)}
                if "record" not in places:
                    await asyncio.sleep(_POLL_SECONDS)
    return places


async def _record(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    try:
        async with session.get(url) as response:
            body = await response.json() if response.status == 200 else {}
    except aiohttp.ClientConnectorError as error:
        raise ConnectionError(f"{error.host}:{error.port} does not answer") from error
    except (aiohttp.ClientError, ValueError):
        return {}
    return body if isinstance(body, Mapping) else {}


def _closing_lines(report: CallReport) -> list[str]:
    gaps = [gap.length_ms for gap in report.gaps]
    heard = f"{len(gaps)} gaps, the longest {max(gaps):.0f} ms" if gaps else "no gap"
    lines = ["", f"{report.duration_ms / 1000:.1f} s, {len(report.turns)} turns, {heard} heard"]
    lines += [f"not allowed by the protocol: {each.text}" for each in report.violations[:5]]
    places = dict(report.stored)
    lines += [f"{name:<10}  {places.get(name, 'not stored')}" for name in STORED]
    return lines


def _at(caller: VobizCaller) -> str:
    return f"{caller.duration_ms / 1000:6.2f} s"
