"""The answer to the webhook: Vobiz XML, checked as strictly as the platform does."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from simulators.caller.codec import MULAW_8K, ByteOrder, WireFormat, l16

MAX_ANSWER_BYTES: Final = 100 * 1024
ANSWER_URL_FAILED: Final = 7011
_INVALID_XML: Final = 8011

_VERBS: Final = frozenset(
    ("Stream", "Speak", "Play", "Wait", "Hangup", "Redirect", "Gather", "Dial", "Record")
    + ("Conference", "DTMF", "PreAnswer")
)
_BOOLEAN: Final = ("true", "false")
_METHODS: Final = ("GET", "POST")
_CHOICES: Final = {
    "bidirectional": _BOOLEAN,
    "keepCallAlive": _BOOLEAN,
    "audioTrack": ("inbound", "outbound", "both"),
    "contentType": (
        "audio/x-l16;rate=8000",
        "audio/x-l16;rate=16000",
        "audio/x-l16;rate=24000",
        "audio/x-mulaw;rate=8000",
    ),
    "statusCallbackMethod": _METHODS,
}
_OTHER_ATTRIBUTES: Final = ("streamTimeout", "statusCallbackUrl", "extraHeaders", "maxRetries")
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class AnswerRejected(RuntimeError):
    """The platform would drop the call over this answer.

    Attributes:
        code: Its hang-up cause code.
    """

    def __init__(self, message: str, *, code: int = _INVALID_XML) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """A ``<Stream>`` element that the platform accepts; always bidirectional.

    Attributes:
        next_verbs: The elements after it, run when the stream ends.
        problems: What is legal to the platform and yet wrong.
    """

    url: str
    content_type: str
    status_url: str | None
    status_method: str
    max_retries: int
    next_verbs: tuple[str, ...]
    problems: tuple[str, ...]

    def wire_format(self, order: ByteOrder) -> WireFormat:
        """In which the caller's audio is to be sent."""
        encoding, _, rate = self.content_type.partition(";rate=")
        return MULAW_8K if encoding == "audio/x-mulaw" else l16(int(rate), order)


def read_answer(status: int, content_type: str, body: bytes) -> StreamOrder:
    """Check the answer to the webhook as strictly as the platform does, and a little more.

    Raises:
        AnswerRejected: The platform would drop the call.
    """
    if status != 200:
        raise AnswerRejected(f"the answer webhook says {status}", code=ANSWER_URL_FAILED)
    problems: list[str] = []
    if content_type.partition(";")[0].strip().lower() not in ("application/xml", "text/xml"):
        raise AnswerRejected(f"the answer has Content-Type {content_type!r}")
    if len(body) > MAX_ANSWER_BYTES:
        raise AnswerRejected(f"the answer has {len(body)} bytes")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise AnswerRejected(f"the answer is not well-formed XML: {error}") from error
    if root.tag != "Response":
        raise AnswerRejected(f"the answer's root is <{root.tag}>, not <Response>")
    unknown = [child.tag for child in root if child.tag not in _VERBS]
    if unknown:
        raise AnswerRejected(f"the answer has unknown elements: {', '.join(unknown)}")
    tags = [child.tag for child in root]
    if "Stream" not in tags:
        raise AnswerRejected(f"the answer has no <Stream>: {tags}")
    at = tags.index("Stream")
    stream = root[at]
    _check_attributes(stream.attrib, problems)
    return StreamOrder(
        url=_stream_url(stream, problems),
        content_type=stream.get("contentType", "audio/x-l16;rate=8000"),
        status_url=stream.get("statusCallbackUrl"),
        status_method=stream.get("statusCallbackMethod", "POST"),
        max_retries=int(stream.get("maxRetries", "0")),
        next_verbs=tuple(tags[at + 1 :]),
        problems=tuple(problems),
    )


def _check_attributes(given: dict[str, str], problems: list[str]) -> None:
    for name, value in given.items():
        choices = _CHOICES.get(name)
        if choices is None and name not in _OTHER_ATTRIBUTES:
            raise AnswerRejected(f"<Stream> has no attribute {name!r}")
        if choices is not None and value not in choices:
            raise AnswerRejected(f"<Stream> {name}={value!r}: allowed are {', '.join(choices)}")
    _check_number(given, "streamTimeout", 1, 86_400)
    _check_number(given, "maxRetries", 0, 10)
    headers = given.get("extraHeaders", "")
    if len(headers.encode()) > 512:
        raise AnswerRejected("<Stream> extraHeaders is over 512 bytes")
    bidirectional = given.get("bidirectional") == "true"
    if bidirectional and given.get("audioTrack", "inbound") != "inbound":
        raise AnswerRejected("<Stream> is bidirectional with audioTrack other than inbound")
    if given.get("keepCallAlive") == "true" and not bidirectional:
        raise AnswerRejected("<Stream> keepCallAlive needs bidirectional")
    if given.get("keepCallAlive") != "true":
        raise AnswerRejected("<Stream> without keepCallAlive: the call drops at once")
    if given.get("contentType") == "audio/x-l16;rate=24000":
        problems.append("<Stream> contentType rate=24000 yields unusable audio")


def _check_number(given: dict[str, str], name: str, least: int, most: int) -> None:
    value = given.get(name)
    if value is not None and not (value.isascii() and value.isdigit()
                                  and least <= int(value) <= most):  # fmt: skip
        raise AnswerRejected(f"<Stream> {name}={value!r}: allowed is {least} to {most}")


def _stream_url(stream: ElementTree.Element, problems: list[str]) -> str:
    text = stream.text or ""
    url = text.strip()
    if url != text:
        problems.append("<Stream> has blanks around its URL")
    if len(stream):
        raise AnswerRejected("<Stream> has child elements")
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise AnswerRejected(f"<Stream> holds {url!r}, no WebSocket URL")
    if parts.scheme == "ws" and parts.hostname not in _LOOPBACK:
        problems.append("<Stream> names an unencrypted ws:// URL")
    return url
