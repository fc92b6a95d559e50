"""What vendors charge, as an operator knows it: makes the cost in a call's record."""

from pydantic import BaseModel, ConfigDict, Field


class _Price(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MinutePrice(_Price):
    """By time; every second counts."""

    per_minute: float = Field(ge=0, le=1e6, description="Of a minute.")

    def of(self, seconds: float) -> float:
        """Cost of so much time."""
        return self.per_minute * seconds / 60


class TokenPrice(_Price):
    """By tokens, as models are sold."""

    per_million_input_tokens: float = Field(ge=0, le=1e9, description="Of the question.")
    per_million_output_tokens: float = Field(ge=0, le=1e9, description="Of the answer.")

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """Cost of questions and answers."""
        asked = self.per_million_input_tokens * input_tokens
        return (asked + self.per_million_output_tokens * output_tokens) / 1e6


class CharacterPrice(_Price):
    """By characters, as voices are sold."""

    per_thousand_characters: float = Field(ge=0, le=1e6, description="Of 1000 characters.")

    def of(self, characters: int) -> float:
        """Cost of so much text."""
        return self.per_thousand_characters * characters / 1000


class PricesSettings(_Price):
    """Prices by provider; without any, records name no cost."""

    currency: str = Field(
        default="INR", pattern=r"^[A-Z]{3}$", description="What the prices are in (ISO 4217)."
    )
    stt: dict[str, MinutePrice] = Field(
        default_factory=dict, description="Speech-to-text: per_minute of each provider."
    )
    llm: dict[str, TokenPrice] = Field(
        default_factory=dict,
        description="Language models: per_million_input_tokens and per_million_output_tokens of "
        "each provider.",
    )
    tts: dict[str, CharacterPrice] = Field(
        default_factory=dict, description="Text-to-speech: per_thousand_characters of each."
    )
    line: dict[str, MinutePrice] = Field(
        default_factory=dict, description="The telephone line: per_minute of vobiz and so on."
    )

    @property
    def is_given(self) -> bool:
        """Whether there is any price."""
        return bool(self.stt or self.llm or self.tts or self.line)
