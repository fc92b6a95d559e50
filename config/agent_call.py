"""How an agent's calls go: whose turn it is, how they end, what is kept, which language."""

from typing import Annotated, Literal

from pydantic import Field

from config.agent_fields import AgentSection, LanguageCode, PhoneNumber, Phrase


class TurnsConfig(AgentSection):
    """Who speaks when."""

    interruptions: bool = Field(
        default=True, description="The caller may cut the agent off by speaking."
    )
    interruption_min_words: int = Field(
        default=1, ge=1, le=20, description="Words it takes to cut the agent off."
    )
    ignore_speech_before_greeting: bool = Field(
        default=True, description="Nothing is heard until the greeting was spoken; keys are."
    )
    # Callers pause between the groups of a number they dictate, and being cut off there is a
    # complaint heard often: 200 ms, where voice activity itself can tell, is too eager. 400 ms
    # costs no more than most recognisers' own wait, and leaves a second's answer well in reach.
    end_of_speech_ms: int = Field(
        default=400, ge=100, le=5000, description="Silence that ends the caller's turn, in ms."
    )
    no_input_seconds: float = Field(
        default=10, ge=0, le=600, description="Silence before the caller is prompted; 0 is never."
    )
    no_input_prompt: Phrase = Field(
        default="", description="That prompt; by default one in the agent's language."
    )
    max_no_input: int = Field(
        default=2, ge=1, le=20, description="Prompts without an answer before the call ends."
    )
    hold_messages: tuple[Phrase, ...] = Field(
        default=(),
        max_length=20,
        description="Said in turn while an answer is slow to come; by default one in the "
        "agent's language.",
    )
    hold_after_seconds: float = Field(
        default=1.5, ge=0, le=30, description="How slow, in seconds; 0 says none."
    )


class CallConfig(AgentSection):
    """How long a call lasts and what is said at its end."""

    max_duration_seconds: float = Field(
        default=1800, gt=0, le=86_400, description="Longest call; by default the server's."
    )
    silence_hangup_seconds: float = Field(
        default=60, ge=0, le=3600, description="Silence of both sides that ends it; 0 is never."
    )
    farewell: Phrase = Field(default="", description="Said before the server ends the call.")
    apology: Phrase = Field(default="", description="Said when every provider has failed.")
    busy: Phrase = Field(default="", description="Said when no more calls can be taken.")
    transfer_to: dict[str, PhoneNumber] = Field(
        default_factory=dict, description="Where a call may be handed to: a name, a number."
    )


RetentionDays = Annotated[int | None, Field(ge=1, le=36_500)]


class RecordingConfig(AgentSection):
    """What is kept of a call."""

    enabled: bool = Field(default=True, description="Keep the sound.")
    stereo: bool = Field(default=True, description="Caller left, agent right; else one channel.")
    format: Literal["wav", "flac", "opus"] = Field(
        default="wav",
        description="wav; flac (the same sound in about half the size); opus (in Ogg, about a "
        "tenth of the size, not quite the same sound).",
    )
    carrier: bool = Field(
        default=False,
        description="Have the carrier (Vobiz) record telephone calls too, and keep its MP3 beside "
        "our own recording; needs VOBIZ_AUTH_ID and VOBIZ_AUTH_TOKEN.",
    )
    retention_days: RetentionDays = Field(
        default=None, description="Delete the sound after so many days; by default never."
    )
    transcript_retention_days: RetentionDays = Field(
        default=None, description="Delete the transcript after so many days; by default never."
    )
    record_retention_days: RetentionDays = Field(
        default=None,
        description="Delete all of the call, its record too, after so many days; by default never.",
    )


class LanguageSwitchingConfig(AgentSection):
    """How the language may change in a call of an agent with further languages."""

    by_tool: bool = Field(
        default=True, description="The language model may, with the tool switch_language."
    )
    by_speech: bool = Field(
        default=False, description="It follows what the caller is heard to speak."
    )
    keys: dict[Annotated[str, Field(pattern=r"^[0-9*#]$")], LanguageCode] = Field(
        default_factory=dict, description="Keys of the telephone: a key, a language."
    )


class Translation(AgentSection):
    """The agent's own words in a further language; by default ours in that language."""

    no_input_prompt: Phrase = Field(default="", description="Said to a caller who stays silent.")
    hold_messages: tuple[Phrase, ...] = Field(
        default=(), max_length=20, description="Said in turn while an answer is slow to come."
    )
    farewell: Phrase = Field(default="", description="Said before the server ends the call.")
    apology: Phrase = Field(default="", description="Said when every provider has failed.")
