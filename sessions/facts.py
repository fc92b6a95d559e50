"""What is known of a call when it is admitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["inbound", "outbound", "client"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What is known of a call when it is admitted.

    Attributes:
        carrier_call_id: The carrier's id; data only, never a path.
        variables: The call's values for ``{{name}}``.
    """

    direction: Direction
    carrier_call_id: str | None = None
    carrier_stream_id: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    subject: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def values(self) -> dict[str, str]:
        """What ``{{name}}`` means in this call."""
        return {
            "caller_number": self.from_number or "",
            "called_number": self.to_number or "",
            **self.variables,
        }
