"""What is said in a benchmark: the callers' words, the vendors' scripts, the agent's file.

A turn is about 2 s of the caller, the server's answering time, 3 s of the agent and 0.7 s of
silence: the agent speaks for about half of the time.
"""

import json
from pathlib import Path
from typing import Any, Final

#: Without commas, since a pause within one would be the end of a turn to some; and loud to the
#: end, so that the echo of one has something to be heard after it.
CALLER_SAYS: Final = (
    "I would like to know my account balance",
    "Please tell me about your opening hours",
    "Can you say that once again",
    "Thank you for your help today",
)
GREETING: Final = "Hello and thank you for calling. How can I help you today?"
_REPLIES: Final = (
    "Your balance is four thousand rupees. Is there anything else?",
    "We are open from nine to six. Would you like to visit us?",
    "Of course, I said nine in the morning. Shall I repeat it?",
    "You are very welcome, it was a pleasure. Have a good day.",
)
_MS_PER_CHARACTER: Final = 50.0


def simulator_script() -> dict[str, Any]:
    """What the simulated vendors hear, answer and how long they speak."""
    return {
        "deepgram": {"utterances": list(CALLER_SAYS)},
        "openai": {"replies": list(_REPLIES)},
        "cartesia": {"ms_per_character": _MS_PER_CHARACTER},
    }


def agent() -> dict[str, Any]:
    """An agent of the same vendors, with recording and everything else at its default."""
    return {
        "name": "Benchmark",
        "language": "en-IN",
        "greeting": GREETING,
        "system_prompt": "You are a helpful assistant on the telephone. Be brief.",
        "stt": {"provider": "deepgram"},
        "llm": {"provider": "openai"},
        "tts": {"provider": "cartesia"},
    }


def write_agent(folder: Path, agent_id: str) -> None:
    """Put the agent's file into a folder, made if absent."""
    folder.mkdir(exist_ok=True)
    (folder / f"{agent_id}.json").write_text(json.dumps(agent(), indent=2), encoding="utf-8")
