"""What an agent file says, and what becomes the vocabulary."""

import subprocess
import sys

import aiohttp
import pytest
from pydantic import ValidationError

from config.agent import AgentConfig
from config.agent_stages import LlmSection, SttSection, TtsSection
from config.errors import ConfigError
from services.context import ServiceContext
from services.offline import LANGUAGES, SPECS, OfflineSTTOptions
from services.offline.stt import agent_vocabulary
from services.script.options import ScriptOptions

SCRIPT = ScriptOptions.model_validate(
    {
        "states": {
            "main": {
                "say": "Hello",
                "intents": {"hours": {"samples": ["opening hours"], "say": "Nine to six."}},
                "slots": {"phone": {"type": "phone", "prompt": "Your number?"}},
                "then": {"say": "Thank you."},
            }
        }
    }
)


async def context(language: str = "en-IN") -> ServiceContext:
    agent = AgentConfig(
        agent_id="test",
        language=language,
        stt=SttSection.model_validate({"provider": "offline"}),
        llm=LlmSection.model_validate({"provider": "script"}),
        tts=TtsSection.model_validate({"provider": "espeak"}),
    ).with_options({("llm", "script"): SCRIPT})
    async with aiohttp.ClientSession() as http:
        return ServiceContext(
            agent=agent,
            language=language,
            vendor_language=LANGUAGES[language],
            rate_hz=8_000,
            base_url=None,
            api_key=None,
            http=http,
        )


async def test_the_vocabulary_is_what_the_agents_file_contains() -> None:
    options = OfflineSTTOptions(phrases=("extra phrase", "opening hours"))
    vocabulary = agent_vocabulary(options, await context())
    assert vocabulary.phrases[:3] == ("extra phrase", "opening hours", "{phone}")
    assert vocabulary.phrases.count("opening hours") == 1
    assert "yes" in vocabulary.phrases
    assert vocabulary.voice == "en-us"


async def test_yes_and_no_are_in_the_agents_language_and_can_be_left_out() -> None:
    assert "नहीं" in agent_vocabulary(OfflineSTTOptions(), await context("hi")).phrases
    without = agent_vocabulary(OfflineSTTOptions(yes_no=False), await context("hi"))
    assert without.phrases == ("opening hours", "{phone}")


async def test_a_slot_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a slot"):
        agent_vocabulary(OfflineSTTOptions(phrases=("on {date}",)), await context())


@pytest.mark.parametrize("wrong", [{"phrases": [""]}, {"sensitivity": 2}, {"phrase": ["x"]}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OfflineSTTOptions.model_validate(wrong)


def test_it_is_registered_as_hearing_only_listed_phrases() -> None:
    (spec,) = SPECS
    assert spec.closed_vocabulary
    assert spec.secret_env is None
    assert {"en-IN", "hi", "mr", "bn", "ta", "te"} <= set(spec.languages or {})


def test_declaring_it_loads_no_model_and_no_pipeline() -> None:
    code = (
        "import sys, services.offline\n"
        "heavy = {'pocketsphinx', 'pipecat', 'numpy', 'espeakng_loader'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
