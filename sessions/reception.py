"""From an open socket to an admitted call: who speaks, may they, and to which agent."""

import asyncio
from dataclasses import dataclass, field

from loguru import logger
from pydantic import SecretStr

from config.agent import AgentConfig
from config.errors import AdmissionError, ConfigError, VoiceServerError, WireError
from config.store import AgentStore
from serializer.base import Dialect
from serializer.client import CLOSE_CODES
from serializer.detect import DialectOptions, detect_dialect
from serializer.messages import AuthRequest, Media, Message, StreamStarted
from sessions import metrics
from sessions.channel import Channel
from sessions.expected import ExpectedCalls
from sessions.facts import CallFacts
from sessions.manager import SessionManager
from sessions.session import MAX_BAD_MESSAGES
from sessions.tokens import verify_token

START_SECONDS = 5.0
#: Packets that may come before ``start``; ten seconds of them.
MAX_HELD = 500


@dataclass(slots=True)
class _Greeting:
    """What a peer has said so far."""

    dialect: Dialect | None = None
    opening: StreamStarted | AuthRequest | None = None
    held: list[Message] = field(default_factory=list)
    bad: int = 0


class Reception:
    """Receives sockets.

    Args:
        agents: Every agent there is.
        manager: Admits and serves.
        expected: Calls that webhooks have announced.
        jwt_secret: Signs the tokens of client programs.
        default_agent: Whom a call gets that names none.
        options: How dialects are spoken.
    """

    def __init__(
        self,
        agents: AgentStore,
        manager: SessionManager,
        expected: ExpectedCalls,
        *,
        jwt_secret: SecretStr,
        default_agent: str,
        options: DialectOptions,
    ) -> None:
        self._agents = agents
        self._manager = manager
        self._expected = expected
        self._jwt_secret = jwt_secret
        self._default_agent = default_agent
        self._options = options

    async def receive(self, channel: Channel, agent_id: str | None) -> None:
        """Serve one socket from its first message to its end.

        Args:
            channel: Open, nothing read yet.
            agent_id: From the address, None where it names none.
        """
        greeting = _Greeting()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._greet(channel, greeting)
            if greeting.opening is None or greeting.dialect is None:
                metrics.SESSIONS_REFUSED.labels("no_start").inc()
                return
            agent, facts = self._decide(greeting.opening, agent_id)
            await self._manager.serve(agent, facts, channel, greeting.dialect, greeting.held)
        except TimeoutError:
            metrics.SESSIONS_REFUSED.labels("no_start").inc()
            late = WireError("auth_timeout", "nothing was said within 5 s; send auth or start")
            await self._refuse(channel, greeting.dialect, late)
        except VoiceServerError as error:
            await self._refuse(channel, greeting.dialect, error)

    async def _greet(self, channel: Channel, greeting: _Greeting) -> None:
        """Read until the peer has introduced itself or gone."""
        while greeting.opening is None and (data := await channel.receive()) is not None:
            try:
                if greeting.dialect is None:
                    greeting.dialect = detect_dialect(data, self._options)
                self._take(greeting, greeting.dialect.decode(data))
            except WireError as error:
                greeting.bad += 1
                metrics.WIRE_MESSAGES_BAD.labels(error.code).inc()
                carrier = greeting.dialect is not None and greeting.dialect.name != "client"
                if not carrier or greeting.bad >= MAX_BAD_MESSAGES:
                    raise

    @staticmethod
    def _take(greeting: _Greeting, message: Message) -> None:
        if isinstance(message, (StreamStarted, AuthRequest)):
            greeting.opening = message
        elif isinstance(message, Media) and len(greeting.held) < MAX_HELD:
            greeting.held.append(message)

    def _decide(
        self, opening: StreamStarted | AuthRequest, agent_id: str | None
    ) -> tuple[AgentConfig, CallFacts]:
        if isinstance(opening, AuthRequest):
            client = verify_token(self._jwt_secret, opening.token)
            agent = self._agent(opening.agent_id or agent_id)
            if not client.may_talk_to(agent.agent_id):
                raise AdmissionError("auth_invalid", f"the token is not for agent {agent.agent_id}")
            return agent, CallFacts(direction="client", subject=client.subject)
        announced = self._expected.find(opening.call_id)
        agent = self._agent(agent_id or (announced.agent_id if announced else None))
        if announced is not None:
            return agent, announced.facts(opening.stream_id)
        return agent, CallFacts(
            direction="inbound",
            carrier_call_id=opening.call_id,
            carrier_stream_id=opening.stream_id,
        )

    def _agent(self, agent_id: str | None) -> AgentConfig:
        wanted = agent_id or self._default_agent
        agent = self._agents.find(wanted)
        if agent is None:
            raise AdmissionError("agent_unknown", f"there is no agent {wanted!r}")
        return agent

    async def _refuse(
        self, channel: Channel, dialect: Dialect | None, error: VoiceServerError
    ) -> None:
        """Say why and close; the code is the reason, the message is for a person."""
        code = "agent_unusable" if isinstance(error, ConfigError) else error.code
        logger.warning(f"a call was refused: {code}: {error.message}")
        if dialect is not None and (told := dialect.error(code, error.message, True)) is not None:
            await channel.send(told)
        await channel.close(_close_code(code), code)


def _close_code(code: str) -> int:
    """How a socket is closed for an error; 1008 where the table has no other."""
    return next((number for name, number in CLOSE_CODES.items() if name == code), None) or 1008
