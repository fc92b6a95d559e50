"""What Vobiz asks and tells over HTTP: the answer, the end of a call, the state of its stream."""

import re
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import APIRouter, Query, Request, Response
from loguru import logger

from api.parts import Parts, ServerParts
from api.voice import AGENT_ID
from config.agent import AgentConfig
from config.errors import ConfigError
from config.phone import normalise_number
from sessions.expected import ExpectedCall

router = APIRouter(tags=["telephony"])

MAX_BODY_BYTES = 64 * 1024
MAX_FIELD_CHARS = 512
_PLAIN = re.compile(r"[A-Za-z0-9+@._:-]{1,64}")
AgentId = Annotated[str | None, Query(pattern=AGENT_ID)]


@router.api_route("/answer", methods=["GET", "POST"], operation_id="answer_call")
async def answer(request: Request, parts: Parts, agent_id: AgentId = None) -> Response:
    """Tell Vobiz to stream a call to us; for a call that ends, only take note."""
    fields = await _fields(request)
    if fields.get("Event") == "Hangup":
        # Vobiz sends the hang-up here when no hangup_url is set (vobiz.md section 1.6).
        _note_hangup(parts, fields)
        return Response(status_code=204)
    agent = _agent(parts, agent_id, fields)
    if agent is None:
        logger.warning("answer: no agent for this call")
        return _xml(_hangup_only("rejected"))
    if parts.manager.draining or parts.manager.full:
        parts.manager.refused["answer"] += 1
        return _xml(_busy(agent))
    _announce(parts, agent, fields)
    return _xml(_stream(request, parts, agent))


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
    length = request.headers.get("content-length", "0")
    pairs = list(request.query_params.multi_items())
    if request.method == "POST" and length.isdigit() and int(length) <= MAX_BODY_BYTES:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        pairs += parse_qsl(body[:MAX_BODY_BYTES].decode("utf-8", "replace"), max_num_fields=200)
    return {name[:64]: value[:MAX_FIELD_CHARS] for name, value in pairs}


def _agent(parts: ServerParts, agent_id: str | None, fields: dict[str, str]) -> AgentConfig | None:
    """The agent that the address names, else the one that answers the number, else the default."""
    if agent_id is not None:
        return parts.agents.find(agent_id)
    called = fields.get("To") if fields.get("Direction") != "outbound" else fields.get("From")
    by_number = parts.agents.by_number(called) if called else None
    return by_number or parts.agents.find(parts.settings.default_agent)


def _announce(parts: ServerParts, agent: AgentConfig, fields: dict[str, str]) -> None:
    call_id = fields.get("CallUUID")
    if not call_id:
        return
    call = ExpectedCall(
        call_id=call_id,
        agent_id=agent.agent_id,
        from_number=_number(fields.get("From")),
        to_number=_number(fields.get("To")),
        direction="outbound" if fields.get("Direction") == "outbound" else "inbound",
    )
    parts.expected.announce(call)
    parts.manager.ringing.ring(call_id, agent, call.facts(), parts.vobiz.expected_formats())


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
    parts.manager.carrier_hung_up(fields.get("CallUUID", ""), detail)


def _stream(request: Request, parts: ServerParts, agent: AgentConfig) -> Element:
    """``<Stream>`` first, then words for a caller whose stream could not be opened."""
    http_base = parts.settings.server.public_url or str(request.base_url).rstrip("/")
    base = urlsplit(http_base)
    socket = f"{'wss' if base.scheme == 'https' else 'ws'}://{base.netloc}{base.path}"
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
            "streamTimeout": str(int(agent.call.max_duration_seconds) + 60),
            "maxRetries": "0",
        },
    )
    stream.text = f"{socket}/voice/{agent.agent_id}"
    SubElement(response, "Hangup")
    return response


def _busy(agent: AgentConfig) -> Element:
    response = Element("Response")
    language = agent.language if "-" in agent.language else f"{agent.language}-IN"
    speak = SubElement(response, "Speak", {"language": language})
    speak.text = agent.render(agent.phrases()["busy"])
    SubElement(response, "Hangup")
    return response


def _hangup_only(reason: str) -> Element:
    response = Element("Response")
    SubElement(response, "Hangup", {"reason": reason})
    return response


def _xml(root: Element) -> Response:
    body = tostring(root, encoding="UTF-8", xml_declaration=True)
    return Response(content=body, media_type="application/xml")
