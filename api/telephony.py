"""What Vobiz asks and tells over HTTP: the answer, the end of a call, the state of its stream."""

import asyncio
import re
import time
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import APIRouter, HTTPException, Request, Response
from loguru import logger
from starlette.requests import ClientDisconnect

from api.parts import Parts, ServerParts
from config.agent import AgentConfig
from config.errors import ConfigError
from config.phone import normalise_number
from serializer.codecs import PCM_8K
from sessions import metrics
from sessions.admission import RefusalReason, count_refusal
from sessions.expected import ExpectedCall
from sessions.facts import CallFacts
from sessions.no_start import never_begun_header
from sessions.recording import wav_header

router = APIRouter(tags=["telephony"])

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_FIELD_CHARS = 512
#: The longest a stream may be allowed to last (vobiz.md section 3).
MAX_STREAM_SECONDS = 86_400
#: How long somebody who is turned away may wait to hear so in the language of their agent.
REFUSAL_SECONDS = 0.15
#: Events of a call that may be told at the answer address and ask for nothing.
NEWS = frozenset({"Ring", "MachineDetection"})
_PLAIN = re.compile(r"[A-Za-z0-9+@._:-]{1,64}")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@router.api_route("/answer", methods=["GET", "POST"], operation_id="answer_call")
async def answer(request: Request, parts: Parts, agent_id: str | None = None) -> Response:
    """Tell Vobiz to stream a call to us; of a call that ends or only rings, take note."""
    with parts.building.heard_first():
        return await _answer(request, parts, agent_id)


async def _answer(request: Request, parts: ServerParts, agent_id: str | None) -> Response:
    fields = await _fields(request)
    event = fields.get("Event", "")
    if event == "Hangup":
        # Vobiz sends the hang-up here when no hangup_url is set (vobiz.md section 1.6).
        _note_hangup(parts, fields)
        return Response(status_code=204)
    if event in NEWS:
        parts.manager.carrier_notice(fields.get("CallUUID", ""), event, fields.get("Machine", ""))
        return Response(status_code=204)
    full = _refusal(parts, fields) is not None
    agent = await (_agent_soon if full else _agent)(parts, agent_id, fields)
    if agent is None:
        metrics.SESSIONS_REFUSED.labels("agent_unknown").inc()
        logger.warning(f"answer: no agent for this call: {(agent_id or '')[:64]!r}")
        return _xml(_hangup_only("rejected"))
    reason = _refusal(parts, fields)
    if reason is not None:
        metrics.SESSIONS_REFUSED.labels("busy_at_answer").inc()
        count_refusal(reason)
        parts.reports.busy(agent, _facts(fields), time.time())
        return _xml(_busy(request, parts, agent))
    await _announce(parts, agent, fields)
    return _xml(_stream(request, parts, agent))


@router.get("/phrases/{agent_id}/busy.wav", include_in_schema=False)
async def busy_phrase(parts: Parts, agent_id: str) -> Response:
    """What ``<Play>`` names: an agent's words for callers who get no line to it."""
    agent = await parts.directory.find(agent_id)
    pcm = None if agent is None else _busy_pcm(parts, agent)
    if pcm is None:
        return Response(status_code=404)
    header = wav_header(len(pcm) // 2, PCM_8K.rate_hz, 1)
    return Response(header + pcm, media_type="audio/wav")


@router.post("/hangup", status_code=204)
async def hangup(request: Request, parts: Parts) -> Response:
    """The authoritative end of a call; may come twice, or after the record was stored."""
    _note_hangup(parts, await _fields(request))
    return Response(status_code=204)


@router.post("/stream-status", status_code=204)
async def stream_status(request: Request, parts: Parts) -> Response:
    """How the media stream fares."""
    fields = await _fields(request)
    call_id = fields.get("CallUUID", "")
    detail = ", ".join(f"{k}={fields[k]}" for k in ("Name", "Error") if fields.get(k))
    parts.manager.carrier_notice(call_id, f"stream:{fields.get('Event', 'unknown')}", detail)
    return Response(status_code=204)


async def _fields(request: Request) -> dict[str, str]:
    """Form fields and query parameters as one; longer or odd ones are cut, none is trusted."""
    body = bytearray()
    if request.method == "POST":
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
        except ClientDisconnect:
            # Half a form says nothing of a call, and nobody waits for the answer.
            raise HTTPException(400, "the request broke off") from None
    text = body[:MAX_BODY_BYTES].decode("utf-8", "replace")
    pairs = [*request.query_params.multi_items(), *parse_qsl(_first_fields(text))]
    return {name[:64]: value[:MAX_FIELD_CHARS] for name, value in pairs}


def _first_fields(form: str) -> str:
    """As many fields as are looked at; ``parse_qsl`` would refuse a longer form altogether."""
    return "&".join(form.split("&", MAX_FIELDS)[:MAX_FIELDS])


async def _agent(
    parts: ServerParts, agent_id: str | None, fields: dict[str, str]
) -> AgentConfig | None:
    """The agent that the address names, else the one that answers the number, else the default."""
    if agent_id is not None:
        return await parts.directory.find(agent_id)
    called = fields.get("To") if fields.get("Direction") != "outbound" else fields.get("From")
    by_number = await parts.directory.by_number(called) if called else None
    return by_number or await parts.directory.find(parts.settings.default_agent)


async def _agent_soon(
    parts: ServerParts, agent_id: str | None, fields: dict[str, str]
) -> AgentConfig | None:
    """The same for a caller who is turned away, who hears so at once, if need be from another."""
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            return await _agent(parts, agent_id, fields)
    except TimeoutError:
        return parts.agents.find(parts.settings.default_agent)


def _refusal(parts: ServerParts, fields: dict[str, str]) -> RefusalReason | None:
    """Why the call gets no line; Vobiz asks again where our answer was lost on its way."""
    call_id = fields.get("CallUUID", "")
    if parts.expected.awaits(call_id) or parts.manager.find(call_id) is not None:
        return None  # It has its line.
    return parts.manager.refusal("outbound" if fields.get("Direction") == "outbound" else "inbound")


async def _announce(parts: ServerParts, agent: AgentConfig, fields: dict[str, str]) -> None:
    facts = _facts(fields)
    # A live call has its record: where Vobiz asks again, nothing new is to be waited for.
    if not (call_id := facts.carrier_call_id) or parts.manager.find(call_id) is not None:
        return
    formats = parts.vobiz.expected_formats()
    header = never_begun_header(agent, facts, formats)
    header = parts.expected.announce(ExpectedCall(header=header)).header
    is_awaited = parts.expected.awaits(call_id)
    parts.manager.ringing.ring(call_id, agent, facts, formats, header.session_id)
    if is_awaited:
        await parts.answered.kept(header)


def _facts(fields: dict[str, str]) -> CallFacts:
    return CallFacts(
        direction="outbound" if fields.get("Direction") == "outbound" else "inbound",
        carrier_call_id=fields.get("CallUUID", ""),
        from_number=_number(fields.get("From")),
        to_number=_number(fields.get("To")),
    )


def _number(text: str | None) -> str | None:
    """A number in E.164, or as the carrier wrote it where it is no telephone number."""
    if not text:
        return None
    try:
        return normalise_number(text)
    except ConfigError:
        return text if _PLAIN.fullmatch(text) else None


def _note_hangup(parts: ServerParts, fields: dict[str, str]) -> None:
    names = ("HangupCauseName", "HangupCauseCode", "HangupSource", "Duration", "BillDuration")
    detail = ", ".join(f"{name}={fields[name]}" for name in names if fields.get(name))
    call_id = fields.get("CallUUID", "")
    if not parts.expected.hung_up(call_id, detail):
        parts.manager.carrier_hung_up(call_id, detail)


def _stream(request: Request, parts: ServerParts, agent: AgentConfig) -> Element:
    """``<Stream>``, and the end of the call once the stream has ended.

    What stands behind ``<Stream>`` runs after every stream, also after one that went well, so
    there can be no apology for one that could not be opened.
    """
    http_base = _http_base(request, parts)
    base = urlsplit(http_base)
    socket = f"{'wss' if base.scheme == 'https' else 'ws'}://{base.netloc}{base.path}"
    longest_seconds = int(agent.call.max_duration_seconds) + 60
    response = Element("Response")
    stream = SubElement(
        response,
        "Stream",
        {
            "bidirectional": "true",
            "audioTrack": "inbound",
            "keepCallAlive": "true",
            "contentType": parts.settings.vobiz.content_type,
            "statusCallbackUrl": f"{http_base}/stream-status",
            "statusCallbackMethod": "POST",
            "streamTimeout": str(min(longest_seconds, MAX_STREAM_SECONDS)),
            "maxRetries": "0",
        },
    )
    stream.text = f"{socket}/voice/{agent.agent_id}"
    SubElement(response, "Hangup")
    return response


def _http_base(request: Request, parts: ServerParts) -> str:
    return parts.settings.server.public_url or str(request.base_url).rstrip("/")


def _busy(request: Request, parts: ServerParts, agent: AgentConfig) -> Element:
    """Say so in the agent's own voice; until that is ready, in whatever voice the carrier has."""
    response = Element("Response")
    if _busy_pcm(parts, agent) is not None:
        url = f"{_http_base(request, parts)}/phrases/{agent.agent_id}/busy.wav"
        SubElement(response, "Play").text = url
    else:
        language = agent.language if "-" in agent.language else f"{agent.language}-IN"
        speak = SubElement(response, "Speak", {"language": language})
        speak.text = _NOT_XML.sub("", _busy_text(agent))
    SubElement(response, "Hangup")
    return response


def _busy_text(agent: AgentConfig) -> str:
    return agent.render(agent.phrases()["busy"])


def _busy_pcm(parts: ServerParts, agent: AgentConfig) -> bytes | None:
    """The same as 16-bit little-endian samples; None while nobody has spoken it."""
    return parts.phrases.wire(agent, _busy_text(agent), PCM_8K)


def _hangup_only(reason: str) -> Element:
    response = Element("Response")
    SubElement(response, "Hangup", {"reason": reason})
    return response


def _xml(root: Element) -> Response:
    body = tostring(root, encoding="UTF-8", xml_declaration=True)
    return Response(content=body, media_type="application/xml")
