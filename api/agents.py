"""Which agents there are."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.parts import Parts

router = APIRouter(prefix="/agents", tags=["agents"])


class AgentSummary(BaseModel):
    """One agent, as a list shows it."""

    agent_id: str
    name: str
    language: str


@router.get("/")
async def list_agents(parts: Parts) -> list[AgentSummary]:
    """The agents that serve now, without their prompts and keys."""
    agents = (parts.agents.get(agent_id) for agent_id in parts.agents.ids())
    return [AgentSummary(agent_id=a.agent_id, name=a.title, language=a.language) for a in agents]
