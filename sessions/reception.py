"""From an open socket to an admitted call: who speaks, may they, and to which agent."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from loguru import logger
from pydantic import SecretStr

from config.agent import AgentConfig
from config.errors import AdmissionError, VoiceServerError, WireError
from serializer.base import FATAL_WIRE_CODES, Dialect
from serializer.client import CLOSE_CODES
from serializer.detect import DialectOptions, detect_dialect
from serializer.messages import AuthRequest, Dtmf, Media, Message, StreamStarted
from services.agent_directory import AgentDirectory
from sessions import metrics
from sessions.channel import Channel
from sessions.expected import ExpectedCalls
from sessions.facts import CallFacts
from sessions.intake import MAX_BAD_MESSAGES
from sessions.manager import SessionManager
from sessions.sender_clock import spoken_since
from sessions.tokens import verify_token

START_SECONDS = 5.0
#: Packets from before ``start`` that are kept, the latest two seconds.
MAX_HELD = 100


@dataclass(slots=True)
class _Greeting:
    """What a peer has said so far.

    Attributes:
        first_at: Loop time of the first message that belongs to the call.
        arrivals: Loop times at which those that are held came.
    """

    dialect: Dialect | None = None
    opening: StreamStarted | AuthRequest | None = None
    held: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_HELD))
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_HELD))
    bad_in_a_row: int = 0
    first_at: float | None = None

    def began_at(self) -> float | None:
        """Loop time of the call's zero: a burst of held sound was spoken before it came.

        Else the caller's side of the recording would be late by as long as the burst is.
        """
        form = self.dialect.input_format if self.dialect is not None else None
        if self.first_at is None or form is None:
            return self.first_at
        sound = [
            (at, form.duration_ms(len(message.payload)) / 1000)
            for at, message in zip(self.arrivals, self.held, strict=True)
            if isinstance(message, Media)
        ]
        return spoken_since(sound, self.first_at)


class Reception:
    """Receives sockets.

    Args:
        agents: Every agent there is.
        manager: Admits and serves.
        expected: Calls that webhooks have announced.
        jwt_secret: Signs the tokens of client programs.
        default_agent: Whom a call gets that names none.
        options: How dialects are spoken.
        start_seconds: How long a peer may take to introduce itself.
    """

    def __init__(
        self,
        agents: AgentDirectory,
        manager: SessionManager,
        expected: ExpectedCalls,
        *,
        jwt_secret: SecretStr,
        default_agent: str,
        options: DialectOptions,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._agents = agents
        self._manager = manager
        self._expected = expected
        self._jwt_secret = jwt_secret
        self._default_agent = default_agent
        self._options = options
        self.start_seconds = start_seconds

    async def receive(self, channel: Channel, agent_id: str | None) -> None:
        """Serve one socket from its first message to its end.

        Args:
            channel: Open, nothing read yet.
            agent_id: From the address, None where it names none.
        """
        greeting = _Greeting()
        try:
            opening = await self._opening(channel, greeting)
            if opening is None or greeting.dialect is None:
                metrics.SESSIONS_REFUSED.labels("no_start").inc()
                return
            agent, facts = await self._decide(opening, agent_id)
            if not self._manager.goes_on(agent, facts, greeting.dialect):
                promised = self._expected.is_promised(facts.carrier_call_id)
                self._manager.admit(facts.direction, promised=promised)
        except VoiceServerError as error:
            await self._refuse(channel, greeting.dialect, error)
            return
        begun = self._expected.started(facts.carrier_call_id)
        held = tuple(greeting.held)
        await self._manager.serve(
            *(agent, facts, channel, greeting.dialect, held),
            session_id=begun.header.session_id if begun is not None else None,
            began_at=greeting.began_at(),
            hangup=begun.hangup if begun is not None else None,
        )

    async def _opening(
        self, channel: Channel, greeting: _Greeting
    ) -> StreamStarted | AuthRequest | None:
        """How the peer has introduced itself; None where it has gone before.

        Raises:
            WireError: It has not, in time or in a way that anybody understands.
        """
        try:
            async with asyncio.timeout(self.start_seconds):
                while greeting.opening is None:
                    data = await channel.receive()
                    if data is None:
                        return None
                    self._listen(greeting, data)
        except TimeoutError:
            seconds = f"{self.start_seconds:g} s"
            raise WireError(
                "auth_timeout", f"no auth or start within {seconds}; send it at once"
            ) from None
        return greeting.opening

    def _listen(self, greeting: _Greeting, data: str | bytes) -> None:
        """Take one message in; a carrier may send some that are no good, a client none.

        Raises:
            WireError: The socket cannot go on.
        """
        try:
            if greeting.dialect is None:
                greeting.dialect = detect_dialect(data, self._options)
            message = greeting.dialect.decode(data)
        except WireError as error:
            metrics.WIRE_MESSAGES_BAD.labels(error.code).inc()
            greeting.bad_in_a_row += 1
            carrier = greeting.dialect is not None and greeting.dialect.name != "client"
            if not carrier or error.code in FATAL_WIRE_CODES:
                raise
            if greeting.bad_in_a_row >= MAX_BAD_MESSAGES:
                raise WireError("too_many_errors", error.message) from None
            return
        greeting.bad_in_a_row = 0
        now = asyncio.get_running_loop().time()
        if isinstance(message, (StreamStarted, AuthRequest)):
            greeting.opening = message
        elif isinstance(message, (Media, Dtmf)):
            if len(greeting.held) == MAX_HELD:
                metrics.dropped("held")
            greeting.held.append(message)
            greeting.arrivals.append(now)
        if greeting.first_at is None:
            greeting.first_at = now

    async def _decide(
        self, opening: StreamStarted | AuthRequest, agent_id: str | None
    ) -> tuple[AgentConfig, CallFacts]:
        if isinstance(opening, AuthRequest):
            client = verify_token(self._jwt_secret, opening.token)
            wanted = opening.agent_id or agent_id or self._default_agent
            # Before it is looked up: a token says nothing about which other agents there are.
            if not client.may_talk_to(wanted):
                raise AdmissionError("auth_invalid", f"the token is not for agent {wanted!r}")
            agent = await self._agent(wanted)
            return agent, CallFacts(direction="client", subject=client.subject)
        announced = self._expected.find(opening.call_id)
        if announced is not None:
            wanted = agent_id or announced.agent_id
            return await self._agent(wanted), announced.facts(opening.stream_id)
        return await self._agent(agent_id or self._default_agent), CallFacts(
            direction="inbound",
            carrier_call_id=opening.call_id,
            carrier_stream_id=opening.stream_id,
        )

    async def _agent(self, agent_id: str) -> AgentConfig:
        agent = await self._agents.find(agent_id)
        if agent is None:
            raise AdmissionError("agent_unknown", f"there is no agent {agent_id[:64]!r}")
        return agent

    async def _refuse(
        self, channel: Channel, dialect: Dialect | None, error: VoiceServerError
    ) -> None:
        """Say why and close; the code is the reason, the message is for a person."""
        code = error.code
        metrics.SESSIONS_REFUSED.labels(code).inc()
        logger.warning(f"a call was refused: {code}: {error.message}")
        with suppress(OSError):
            if dialect is not None:
                told = dialect.error(code, error.message, True)
                if told is not None:
                    await channel.send(told)
            await channel.close(_close_code(code), code)


def _close_code(code: str) -> int:
    """How a socket is closed for an error; 1008 where the table has no other."""
    return next((number for name, number in CLOSE_CODES.items() if name == code), None) or 1008
