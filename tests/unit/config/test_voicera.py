import copy
import json
from pathlib import Path
from typing import Any

import pytest

from config.agent import AgentConfig
from config.agent_file import build_agent
from config.documents import Document, parse_document
from config.problems import ConfigFileError
from config.providers import ProviderCatalog
from config.settings import Settings, load_settings
from config.voicera import convert, is_voicera
from tests.unit.config.catalog import ChatOptions, KeyedSttOptions, VoiceOptions

FLAT: dict[str, Any] = {
    "system_prompt": "You help farmers.",
    "greeting_message": "नमस्ते",
    "language": "Hindi",
    "interaction_mode": "conversational",
    "llm_model": {
        "name": "OpenAI",
        "model": "gpt-4",
        "args": {"model": "gpt-4o", "temperature": 0.7, "max_tokens": 200},
    },
    "stt_model": {
        "name": "Deepgram",
        "language": "Hindi",
        "model": "nova-2",
        "args": {"model": "nova-3"},
    },
    "tts_model": {
        "name": "CARTESIA",
        "language": "Hindi",
        "model": "sonic-3",
        "voice_id": "sibling",
        "speaker": None,
        "description": None,
        "args": {"model": "sonic-3", "voice_id": "from-args"},
    },
    "knowledge_base_enabled": False,
    "knowledge_document_ids": [],
    "call_timeout_seconds": 900,
    "user_silence_hangup_seconds": 45,
    "interruption_min_words": 2,
    "ignore_user_speech_before_greeting": False,
    "user_online_detection_enabled": True,
    "user_online_detection_message": "Are you there?",
    "user_online_detection_seconds": 12,
    "hold_messages": ["One moment.", "Still looking."],
    "hold_message_timeout_seconds": 0.4,
}

WRAPPED: dict[str, Any] = {
    "agent_type": "Kisan Helpline",
    "agent_id": "0f4c-77",
    "org_id": "org-1",
    "agent_category": None,
    "phone_number": "+919800000002",
    "app_id": None,
    "telephony_provider": "Vobiz",
    "vobiz_app_id": "app-1",
    "vobiz_answer_url": "https://voice.example/answer?agent_id=0f4c-77",
    "plivo_app_id": None,
    "plivo_answer_url": None,
    "created_at": "2026-06-01T00:00:00",
    "updated_at": "2026-06-02T00:00:00",
    "agent_config": FLAT,
}


@pytest.fixture
def settings() -> Settings:
    keys = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")
    return load_settings(None, dict.fromkeys(keys, "k"))


def document(data: dict[str, Any]) -> Document:
    return parse_document(json.dumps(data, indent=1), Path("agent.json"))


def changed(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(data), **changes}


def agent(data: dict[str, Any], catalog: ProviderCatalog, settings: Settings) -> AgentConfig:
    return build_agent(document(data), catalog, settings)


def test_a_flat_file_becomes_an_agent(catalog: ProviderCatalog, settings: Settings) -> None:
    made = agent(FLAT, catalog, settings)
    assert made.agent_id == "agent"
    assert (made.language, made.greeting) == ("hi", "नमस्ते")
    assert made.system_prompt == "You help farmers."
    assert (made.stt.chain, made.llm.chain, made.tts.chain) == (
        ("deepgram",),
        ("openai",),
        ("cartesia",),
    )
    assert made.call.max_duration_seconds == 900
    assert made.call.silence_hangup_seconds == 45
    assert made.turns.interruption_min_words == 2
    assert made.turns.ignore_speech_before_greeting is False
    assert made.turns.no_input_seconds == 12
    assert made.turns.no_input_prompt == "Are you there?"
    assert made.turns.hold_messages == ("One moment.", "Still looking.")
    assert made.turns.hold_after_seconds == 0.4


def test_args_win_over_the_keys_beside_them(catalog: ProviderCatalog, settings: Settings) -> None:
    made = agent(FLAT, catalog, settings)
    stt = made.provider_options("stt", "deepgram")
    llm = made.provider_options("llm", "openai")
    tts = made.provider_options("tts", "cartesia")
    assert isinstance(stt, KeyedSttOptions)
    assert isinstance(llm, ChatOptions)
    assert isinstance(tts, VoiceOptions)
    assert stt.model == "nova-3"
    assert (llm.model, llm.temperature, llm.max_tokens) == ("gpt-4o", 0.7, 200)
    assert tts.voice == "from-args"


def test_the_backends_answer_becomes_an_agent(catalog: ProviderCatalog, settings: Settings) -> None:
    made = agent(WRAPPED, catalog, settings)
    assert (made.agent_id, made.name) == ("0f4c-77", "Kisan Helpline")
    assert made.phone_numbers == ("+919800000002",)
    assert made.metadata == {
        "agent_type": "Kisan Helpline",
        "org_id": "org-1",
        "telephony_provider": "Vobiz",
        "vobiz_app_id": "app-1",
        "vobiz_answer_url": "https://voice.example/answer?agent_id=0f4c-77",
        "created_at": "2026-06-01T00:00:00",
        "updated_at": "2026-06-02T00:00:00",
    }


def test_what_a_file_leaves_out_is_as_voicera_has_it(
    catalog: ProviderCatalog, settings: Settings
) -> None:
    models = {key: FLAT[key] for key in ("llm_model", "stt_model", "tts_model")}
    made = agent({"language": "Hindi", **models}, catalog, settings)
    assert made.call.max_duration_seconds == 600
    assert made.call.silence_hangup_seconds == 0
    assert made.turns.interruption_min_words == 1
    assert made.turns.ignore_speech_before_greeting is True
    assert made.turns.no_input_seconds == 0
    assert made.turns.hold_after_seconds == 0.3


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ({"session_timeout_minutes": 5}, 300),
        ({"session_timeout_minutes": 5, "call_timeout_seconds": 90}, 90),
        ({"call_timeout_seconds": 10}, 60),
        ({"session_timeout_minutes": 0.5}, 60),
    ],
)
def test_how_long_a_call_lasts(
    keys: dict[str, Any], seconds: float, catalog: ProviderCatalog, settings: Settings
) -> None:
    data = {key: value for key, value in FLAT.items() if key != "call_timeout_seconds"}
    assert agent({**data, **keys}, catalog, settings).call.max_duration_seconds == seconds


def test_a_models_own_language_is_kept(catalog: ProviderCatalog, settings: Settings) -> None:
    tts = {**FLAT["tts_model"], "language": "English (India)"}
    made = agent(changed(FLAT, tts_model=tts), catalog, settings)
    assert made.language == "hi"
    assert made.provider_options("tts", "cartesia").language == "en-IN"
    assert made.provider_options("stt", "deepgram").language is None


def test_the_recognisers_language_serves_where_the_agent_has_none(
    catalog: ProviderCatalog, settings: Settings
) -> None:
    data = {key: value for key, value in FLAT.items() if key != "language"}
    assert agent(data, catalog, settings).language == "hi"


def test_bhili_is_written_by_its_code(catalog: ProviderCatalog, settings: Settings) -> None:
    speech = {"name": "ai4bharat", "language": "bhb"}
    data = changed(FLAT, language="bhb", stt_model=speech, tts_model={**speech, "speaker": "Asha"})
    made = agent(data, catalog, settings)
    assert made.language == "bhb"
    assert made.provider_options("tts", "ai4bharat").model_dump()["voice"] == "Asha"


def test_a_custom_model_with_its_address_is_served(
    catalog: ProviderCatalog, settings: Settings
) -> None:
    model = {"name": "custom_llm", "model": "m", "args": {"base_url": "http://llm.example/v1"}}
    made = agent(changed(FLAT, llm_model=model), catalog, settings)
    assert made.provider_options("llm", "local").base_url == "http://llm.example/v1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interaction_mode": "non_conversational"}, "interaction_mode: .*no counterpart"),
        ({"knowledge_base_enabled": True}, "knowledge_base_enabled: .*not available"),
        ({"greting_message": "x"}, "greting_message: unknown key .*'greeting_message'"),
        ({"language": "Hindhi"}, "language: unknown language 'Hindhi'; did you mean 'Hindi'"),
        ({"stt_model": "deepgram"}, "stt_model: must be a mapping"),
        ({"stt_model": {"name": "deepgrm"}}, "stt_model.name: .*did you mean 'deepgram'"),
        ({"stt_model": {"name": "deepgram", "args": 3}}, "stt_model.args: must be a mapping"),
        (
            {"stt_model": {"name": "deepgram", "modl": "x"}},
            "stt.deepgram.modl: unknown key 'modl'; did you mean 'model'",
        ),
        ({"llm_model": {"name": "custom_llm"}}, "llm_model.name: .*custom_llm_id.*base_url"),
        ({"call_timeout_seconds": "soon"}, "call.max_duration_seconds: input should be a valid"),
        ({"user_online_detection_enabled": "maybe"}, "user_online_detection_enabled: must be"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_line(
    changes: dict[str, Any], message: str, catalog: ProviderCatalog, settings: Settings
) -> None:
    with pytest.raises(ConfigFileError, match=rf"agent\.json:\d+: {message}"):
        agent(changed(FLAT, **changes), catalog, settings)


def test_lines_point_into_the_original(catalog: ProviderCatalog, settings: Settings) -> None:
    data = changed(WRAPPED, agent_config=changed(FLAT, interruption_min_words=99))
    text = json.dumps(data, indent=1)
    line = next(i for i, t in enumerate(text.splitlines(), 1) if "interruption_min_words" in t)
    with pytest.raises(ConfigFileError) as caught:
        build_agent(parse_document(text, Path("agent.json")), catalog, settings)
    (problem,) = caught.value.problems
    assert (problem.field, problem.line) == ("turns.interruption_min_words", line)


def test_a_knowledge_base_of_the_model_is_refused_too(
    catalog: ProviderCatalog, settings: Settings
) -> None:
    model = {**FLAT["llm_model"], "knowledge_base_enabled": True}
    with pytest.raises(ConfigFileError, match=r"llm_model\.knowledge_base_enabled"):
        agent(changed(FLAT, llm_model=model), catalog, settings)


def test_nothing_that_a_file_says_is_lost(catalog: ProviderCatalog) -> None:
    data = changed(
        WRAPPED,
        agent_config=changed(
            FLAT,
            knowledge_document_ids=["d1", "d2"],
            user_online_detection_enabled=False,
            session_timeout_minutes=3,
            call_timeout_seconds=None,
        ),
    )
    converted = json.dumps(convert(document(data), catalog).data, ensure_ascii=False)
    for word in ("d1,d2", '"12"', "180", "gpt-4o", "Kisan Helpline", "org-1", "app-1", "0.4"):
        assert word in converted


def test_files_of_our_own_are_left_alone() -> None:
    assert is_voicera(FLAT)
    assert is_voicera(WRAPPED)
    assert not is_voicera({"agent_id": "x", "stt": {}, "greeting": "x"})
