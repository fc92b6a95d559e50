"""Every agent that a call may want: those of files first, then those of the backend."""

from config.agent import AgentConfig
from config.store import AgentStore
from services.backend.agents import BackendAgents


class AgentDirectory:
    """Finds agents.

    Args:
        files: They win.
        backend: Asked for what no file has; None where there is none.
    """

    def __init__(self, files: AgentStore, backend: BackendAgents | None = None) -> None:
        self._files = files
        self._backend = backend

    async def find(self, agent_id: str) -> AgentConfig | None:
        """The agent of an id; within the time that ``backend.agents_wait_seconds`` allows."""
        agent = self._files.find(agent_id)
        if agent is None and self._backend is not None:
            agent = await self._backend.find(agent_id)
        return agent

    async def by_number(self, number: str) -> AgentConfig | None:
        """The agent that answers a telephone number; as :meth:`find`."""
        agent = self._files.by_number(number)
        if agent is None and self._backend is not None:
            agent = await self._backend.by_number(number)
            if agent is not None:
                agent = self._files.find(agent.agent_id) or agent
        return agent
