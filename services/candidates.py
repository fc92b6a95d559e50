"""Who may serve one stage of a call."""

from dataclasses import dataclass

from config.providers import ProviderKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One provider of an agent's chain, in one language.

    Attributes:
        kind: The stage it serves.
        provider: Its registered name, as in the agent's file.
        language: Our code of the language it is to work in.
        account: Names its server and its key without telling the key: what fails for one call
            fails for all that share it.
        remote: Whether it is reached over a network, and so may keep a call waiting.
    """

    kind: ProviderKind
    provider: str
    language: str
    account: str
    remote: bool = True
