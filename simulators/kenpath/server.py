"""Kenpath's advisers: Vistaar, which streams plain text, and Voice Bhili, which answers in JSON."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn

import jwt
from aiohttp import web

from simulators.base import Simulator, json_response, names, refuse
from simulators.behaviour import WELL_BEHAVED, Behaviour
from simulators.connection import Connection

_PARAMETERS: Final = names("query source_lang target_lang session_id")
_VISTAAR_LANGUAGES: Final = names("hi mr")
_BHILI_LANGUAGES: Final = names("bhb")
_ISSUER: Final = "voice-provider"
_LIFETIME_SECONDS: Final = 3600
#: How far the clocks of both ends may differ.
_LEEWAY_SECONDS: Final = 60
#: Long enough for the other end's loop to read one half of a word before the next is sent.
_SPLIT_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Question:
    """A valid request.

    Attributes:
        number: Counted from 0 over the simulator.
        text: What was asked.
        language: ``hi``, ``mr`` or ``bhb``.
        session_id: Whose conversation it belongs to.
        subject: Of its token; empty without one.
    """

    number: int
    text: str
    language: str
    session_id: str
    subject: str


#: Texts in turn, again from the first after the last; or by pattern found in the question; or
#: a function.
Answers = Sequence[str] | Mapping[str, str] | Callable[[Question], str]


class KenpathSimulator(Simulator):
    """Vistaar at ``/api/voice/`` and Voice Bhili at ``/api/voice-bhili``.

    Args:
        answers: What is answered.
        public_key: PEM of the key that tokens must verify with; without it their signature is
            not looked at, everything else of them is.
        bhili_needs_token: Whether Voice Bhili asks for a token too, as in production.
        first_text_ms: Wait before the first word.
        words_per_second: Pace; without it, as fast as the connection takes it.
        port: Port, 0 for a free one.
        behaviour: How requests are treated; ``odd_frames`` cuts words within a character,
            ``garbage_frames`` answers with what no such server says.
        script: How the first requests are treated.

    Attributes:
        questions: The valid requests, in order.
    """

    vendor: ClassVar[str] = "kenpath"

    def __init__(
        self,
        *,
        answers: Answers = ("आज मौसम साफ़ रहेगा।",),
        public_key: str | None = None,
        bhili_needs_token: bool = False,
        first_text_ms: float = 0.0,
        words_per_second: float | None = None,
        port: int = 0,
        behaviour: Behaviour = WELL_BEHAVED,
        script: Sequence[Behaviour] = (),
    ) -> None:
        super().__init__(port=port, behaviour=behaviour, script=script)
        self.answers = answers
        self.public_key = public_key
        self.bhili_needs_token = bhili_needs_token
        self.first_text_ms = first_text_ms
        self.words_per_second = words_per_second
        self.questions: list[Question] = []

    def routes(self) -> Iterable[web.RouteDef]:
        """The two doors."""
        return [
            self.door("GET", "/api/voice/", self._vistaar),
            self.door("GET", "/api/voice-bhili", self._bhili),
        ]

    # -- doors -------------------------------------------------------------------------

    async def _vistaar(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        subject = self._subject(connection)
        question = self._question(connection, _VISTAAR_LANGUAGES, subject)
        connection.accepted()
        await self._wait(connection)
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        if connection.behaviour.garbage_frames:
            response.content_type = "text/html"
        response.enable_chunked_encoding()
        await response.prepare(request)
        text = "" if connection.behaviour.empty else self._answer(question)
        await self._stream(response, connection, text)
        await response.write_eof()
        return response

    async def _bhili(self, _request: web.Request, connection: Connection) -> web.StreamResponse:
        has_token = "Authorization" in connection.received.headers
        subject = self._subject(connection) if self.bhili_needs_token or has_token else ""
        question = self._question(connection, _BHILI_LANGUAGES, subject)
        if connection.received.headers.get("Accept") != "application/json":
            self.violate(f"request {connection.index}: Accept must be application/json")
        connection.accepted()
        await self._wait(connection)
        if connection.silent:
            await connection.lie_low()
        if connection.behaviour.garbage_frames:
            return web.Response(text='{"response":', content_type="application/json")
        text = "" if connection.behaviour.empty else self._answer(question)
        return json_response({"response": text})

    # -- what is asked -----------------------------------------------------------------

    def _subject(self, connection: Connection) -> str:
        """Whom the token is made out to, or 401."""
        scheme, _, token = connection.received.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            self._unauthorised(connection, "no bearer token")
        try:
            claims = self._claims(token)
        except jwt.PyJWTError as error:
            self._unauthorised(connection, f"token: {error}")
        if claims["exp"] - claims["iat"] != _LIFETIME_SECONDS:
            self.violate(f"request {connection.index}: a token for {_LIFETIME_SECONDS} s is usual")
        return str(claims["sub"])

    def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token, checked; its signature where there is a key."""
        if jwt.get_unverified_header(token).get("alg") != "RS256":
            raise jwt.InvalidAlgorithmError("not RS256")
        claims: dict[str, Any] = jwt.decode(
            token,
            self.public_key or "",
            algorithms=["RS256"],
            issuer=_ISSUER,
            leeway=_LEEWAY_SECONDS,
            options={
                "require": ["sub", "iss", "iat", "exp"],
                "verify_signature": self.public_key is not None,
                "verify_exp": True,
                "verify_iat": True,
                "verify_iss": True,
            },
        )
        if claims["iat"] > time.time() + _LEEWAY_SECONDS:
            raise jwt.ImmatureSignatureError("issued in the future")
        return claims

    def _question(
        self, connection: Connection, languages: frozenset[str], subject: str
    ) -> Question:
        """What is asked, or 422."""
        given = dict(connection.received.query)
        if len(given) != len(connection.received.query):
            self._invalid(connection, "query", "a parameter twice")
        for name in sorted(_PARAMETERS):
            if not given.get(name, "").strip():
                self._invalid(connection, name, "Field required")
        for name in sorted(set(given) - _PARAMETERS):
            self.violate(f"request {connection.index}: unknown parameter {name}")
        if given["source_lang"] not in languages or given["source_lang"] != given["target_lang"]:
            self._invalid(connection, "source_lang", "no such language here")
        question = Question(
            len(self.questions), given["query"], given["source_lang"], given["session_id"], subject
        )
        self.questions.append(question)
        self.changed()
        return question

    def _unauthorised(self, connection: Connection, text: str) -> NoReturn:
        self.violate(f"request {connection.index}: {text}")
        refuse(json_response({"detail": "Not authenticated"}, status=401))

    def _invalid(self, connection: Connection, name: str, text: str) -> NoReturn:
        self.violate(f"request {connection.index}: {name}: {text}")
        detail = [{"type": "value_error", "loc": ["query", name], "msg": text}]
        refuse(json_response({"detail": detail}, status=422))

    # -- what is answered --------------------------------------------------------------

    def _answer(self, question: Question) -> str:
        if callable(self.answers):
            return self.answers(question)
        if isinstance(self.answers, Mapping):
            for pattern, text in self.answers.items():
                if re.search(pattern, question.text, re.IGNORECASE):
                    return text
            return ""
        return self.answers[question.number % len(self.answers)] if self.answers else ""

    async def _wait(self, connection: Connection) -> None:
        wait_ms = self.first_text_ms + connection.behaviour.first_result_delay_ms
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if connection.due_error():
            refuse(self.error_response(500, {}))

    async def _stream(
        self, response: web.StreamResponse, connection: Connection, text: str
    ) -> None:
        rate = (self.words_per_second or 0.0) * (connection.behaviour.speed or 1.0)
        if connection.silent:
            await connection.lie_low()
        for word in re.findall(r"\S+\s*", text):
            data = word.encode()
            if connection.behaviour.odd_frames:
                cut = next((i + 1 for i, byte in enumerate(data) if byte >= 0x80), 1)
                await response.write(data[:cut])
                await asyncio.sleep(_SPLIT_SECONDS)
                await response.write(data[cut:])
            else:
                await response.write(data)
            connection.sent(len(data))
            await asyncio.sleep(1 / rate if rate else 0)
            if connection.silent:
                await connection.lie_low()
