"""What every registered provider owes the rest of the server, whoever the vendor is."""

import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    LLMContextFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pydantic import ValidationError

from config.agent import PROVIDER_KINDS, AgentConfig
from config.agent_file import build_agent
from config.documents import parse_document, read_document
from config.errors import ConfigError
from config.languages import LANGUAGES
from config.providers import ProviderKind, ProviderSpec, option_spellings
from config.resolve import provider_language
from config.settings import Settings, load_settings
from services.clients import close_shared_clients
from services.factory import ServiceFactory
from services.registry import VENDORS, catalog
from simulators.base import Simulator
from tests.contract.vendors import LEAST, SIMULATORS
from tests.unit.services.calls import Line, on_the_line
from tests.unit.services.kenpath.keys import write_key

#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")

ROOT = Path(__file__).parents[2]
RATES_HZ = (8_000, 16_000)
TEXTS = {"hi": "नमस्ते, आपका स्वागत है।"}
BASES: Mapping[ProviderKind, type[FrameProcessor]] = {
    "stt": STTService,
    "llm": LLMService,
    "tts": TTSService,
}
_DEFAULT_AGENT = read_document(ROOT / "agent_configs/default_agent.json").data

#: Variables whose value is no key but the path of a file that holds one.
KEY_FILES: dict[str, str] = {}

ALL = list(catalog)
REMOTE = [spec for spec in ALL if (spec.kind, spec.name) in SIMULATORS]
SPEAKERS = [spec for spec in ALL if spec.render is not None]


def name_of(spec: ProviderSpec) -> str:
    return f"{spec.kind}-{spec.name}"


every = pytest.mark.parametrize("spec", ALL, ids=name_of)


def least(spec: ProviderSpec) -> dict[str, Any]:
    return LEAST.get((spec.kind, spec.name), {})


def language_for(spec: ProviderSpec) -> str:
    return "hi" if spec.supports("hi") else next(iter(spec.languages or ("en-IN",)))


@pytest.fixture(scope="module", autouse=True)
def key_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    private, _ = write_key(tmp_path_factory.mktemp("keys"))
    KEY_FILES["KENPATH_JWT_PRIVATE_KEY_PATH"] = str(private)


def keys() -> dict[str, str]:
    """A key for every provider that wants one, made for this test."""
    made = {spec.secret_env: secrets.token_hex(16) for spec in ALL if spec.secret_env}
    return {**made, **KEY_FILES}


def agent_with(spec: ProviderSpec, settings: Settings, **options: object) -> AgentConfig:
    """The agent of the least words that uses ``spec``; keyless providers do the rest.

    Args:
        options: Of that provider; None leaves one out that the least words hold.
    """
    if not spec.supports("hi"):
        options.setdefault("language", language_for(spec))
    data: dict[str, Any] = {
        "agent_id": "tester",
        "language": "hi",
        "stt": {"provider": "offline", "offline": {"phrases": ["हाँ"]}},
        "llm": {"provider": "script", "script": LEAST[("llm", "script")]},
        "tts": {"provider": "espeak"},
        "call": _DEFAULT_AGENT.get("call", {}),
        "variables": _DEFAULT_AGENT.get("variables", {}),
    }
    if spec.name != data[spec.kind]["provider"]:
        given = {key: v for key, v in {**least(spec), **options}.items() if v is not None}
        data[spec.kind] = {"provider": spec.name, spec.name: given}
    document = parse_document(json.dumps(data), Path("tester.json"))
    # Keys and addresses are given where a test needs them.
    return build_agent(document, catalog, settings, check_installation=False)


@asynccontextmanager
async def factory_for(settings: Settings) -> AsyncIterator[ServiceFactory]:
    async with aiohttp.ClientSession() as http:
        yield ServiceFactory(catalog, settings, http)
    await close_shared_clients()


async def use(kind: ProviderKind, line: Line, rate_hz: int) -> None:
    """Give a service of that kind some work."""
    if kind == "llm":
        context = LLMContext(messages=[{"role": "user", "content": TEXTS["hi"]}])
        await line.send(LLMContextFrame(context))
    elif kind == "tts":
        await line.send(TTSSpeakFrame(TEXTS["hi"]))
    else:
        times = np.arange(rate_hz) / rate_hz
        pcm = (np.sin(2 * np.pi * 300 * times) * 8_000).astype("<i2").tobytes()
        await line.send(VADUserStartedSpeakingFrame(start_secs=0.2))
        for start in range(0, len(pcm), rate_hz // 25 * 2):
            piece = pcm[start : start + rate_hz // 25 * 2]
            await line.send(InputAudioRawFrame(piece, rate_hz, 1))
        await line.send(VADUserStoppedSpeakingFrame(stop_secs=0.2))


# -- registration --------------------------------------------------------------------------


def test_every_vendor_folder_is_registered() -> None:
    folders = {
        path.parent.name
        for path in (ROOT / "services").glob("*/__init__.py")
        if "SPECS" in path.read_text(encoding="utf-8")
    }
    assert folders == set(VENDORS)
    assert {kind for kind in PROVIDER_KINDS if catalog.of_kind(kind)} == set(PROVIDER_KINDS)


def test_registrations_import_neither_pipecat_nor_a_vendors_package() -> None:
    heavy = {"pipecat", "numpy", "soxr", "aiohttp", "httpx", "onnxruntime"}
    heavy |= {package for spec in ALL for package in spec.packages}
    program = "import json, sys, services.registry; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded & heavy == set()


@every
def test_a_vendor_that_is_reached_over_the_network_has_a_simulator(spec: ProviderSpec) -> None:
    """Or a client that cannot be pointed elsewhere, and then says so."""
    is_remote = spec.default_base_url is not None or spec.base_url_env is not None
    assert is_remote <= (spec.fixed_address or (spec.kind, spec.name) in SIMULATORS)


@every
def test_languages_are_ours_and_each_has_a_word_of_the_vendors(spec: ProviderSpec) -> None:
    assert spec.languages is not None or spec.kind == "llm"
    options = spec.options.model_validate(least(spec))
    for code, vendor_code in (spec.languages or {}).items():
        assert code in LANGUAGES
        assert provider_language(spec, options, code) == (code, vendor_code)
        assert vendor_code


@every
def test_a_language_that_the_vendor_lacks_is_refused(spec: ProviderSpec) -> None:
    lacking = [code for code in LANGUAGES if not spec.supports(code)]
    options = spec.options.model_validate(least(spec))
    for code in lacking:
        with pytest.raises(ConfigError, match=code):
            provider_language(spec, options, code)


@every
def test_formats_are_declared_where_there_is_audio(spec: ProviderSpec) -> None:
    assert bool(spec.wire_formats) == (spec.kind != "llm")


@every
def test_what_it_needs_is_named_and_here(spec: ProviderSpec) -> None:
    assert (spec.install is None) == (not spec.packages)
    for package in spec.packages:
        assert find_spec(package) is not None
        assert spec.install is not None


@every
def test_a_key_goes_with_a_field_to_hold_it(spec: ProviderSpec) -> None:
    if spec.secret_env is not None:
        assert spec.options.secret_field in spec.options.model_fields


# -- options -------------------------------------------------------------------------------


@every
def test_an_unknown_option_is_refused(spec: ProviderSpec) -> None:
    with pytest.raises(ValidationError, match="no_such_option"):
        spec.options.model_validate({**least(spec), "no_such_option": 1})


@every
def test_options_are_frozen_and_survive_being_written_down(spec: ProviderSpec) -> None:
    options = spec.options.model_validate(least(spec))
    assert spec.options.model_validate(options.model_dump()) == options
    with pytest.raises(ValidationError, match="frozen"):
        options.base_url = "http://127.0.0.1"


@every
def test_every_option_is_described_and_goes_by_its_own_name(spec: ProviderSpec) -> None:
    spellings = option_spellings(spec.options)
    for name, info in spec.options.model_fields.items():
        assert info.description, f"{name} has no description"
        assert spellings[name] == name


@every
def test_an_older_files_spelling_of_the_address_is_understood(spec: ProviderSpec) -> None:
    options = {key: value for key, value in least(spec).items() if key != "base_url"}
    for spelling in ("service_url", "api_base"):
        model = spec.options.model_validate({**options, spelling: "http://127.0.0.1:9"})
        assert model.base_url == "http://127.0.0.1:9"


# -- services ------------------------------------------------------------------------------


@every
def test_its_targets_exist(spec: ProviderSpec) -> None:
    for target in filter(None, (spec.build, spec.render)):
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


@every
@pytest.mark.parametrize("rate_hz", RATES_HZ)
async def test_it_builds_and_keeps_the_rate_of_the_line(spec: ProviderSpec, rate_hz: int) -> None:
    """Whatever the pipeline around it says: nothing is to be resampled behind it."""
    settings = load_settings(None, keys())
    async with simulated(spec) as simulator, factory_for(settings) as factory:
        agent = agent_with(spec, settings, **address(simulator))
        service = factory.build(spec.kind, agent, rate_hz=rate_hz, session_id="s")
        assert isinstance(service, BASES[spec.kind])
        async with on_the_line(service, 24_000):
            if isinstance(service, (STTService, TTSService)):
                assert service.sample_rate == rate_hz


@every
async def test_what_an_agent_needs_is_loaded_before_its_first_call(spec: ProviderSpec) -> None:
    settings = load_settings(None, keys())
    async with factory_for(settings) as factory:
        factory.load(agent_with(spec, settings))
        for kind in PROVIDER_KINDS:
            chosen, _ = factory.chosen(kind, agent_with(spec, settings))
            assert chosen.build.partition(":")[0] in sys.modules


@pytest.mark.parametrize("spec", REMOTE, ids=name_of)
async def test_its_address_in_the_agents_file_is_used(spec: ProviderSpec) -> None:
    await reaches_its_server(spec, lambda url: (load_settings(None, keys()), {"base_url": url}))


@pytest.mark.parametrize("spec", [spec for spec in REMOTE if spec.base_url_env], ids=name_of)
async def test_its_address_in_the_environment_is_used(spec: ProviderSpec) -> None:
    variable = str(spec.base_url_env)

    def configured(url: str) -> tuple[Settings, dict[str, object]]:
        return load_settings(None, {**keys(), variable: url}), {"base_url": None}

    await reaches_its_server(spec, configured)


@pytest.mark.parametrize("spec", REMOTE, ids=name_of)
async def test_its_address_in_config_yaml_is_used(spec: ProviderSpec, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"

    def configured(url: str) -> tuple[Settings, dict[str, object]]:
        section = {spec.name: {**least(spec), "base_url": url}}
        file.write_text(json.dumps({spec.kind: section}), encoding="utf-8")
        return load_settings(file, keys()), {"base_url": None}

    await reaches_its_server(spec, configured)


async def reaches_its_server(
    spec: ProviderSpec, configured: Callable[[str], tuple[Settings, dict[str, object]]]
) -> None:
    """Give a service work, and see it arrive where the configuration says."""
    async with simulated(spec) as simulator:
        assert simulator is not None
        settings, options = configured(simulator.base_url)
        async with factory_for(settings) as factory:
            service = factory.build(spec.kind, agent_with(spec, settings, **options), rate_hz=8_000)
            async with on_the_line(service) as line:
                await use(spec.kind, line, 8_000)
                await simulator.until(lambda: len(simulator.connections) > 0)
        assert simulator.violations == []
        assert line.errors == []


@pytest.mark.parametrize("spec", SPEAKERS, ids=name_of)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
async def test_it_speaks_outside_a_call(spec: ProviderSpec, rate_hz: int) -> None:
    settings = load_settings(None, keys())
    async with simulated(spec) as simulator, factory_for(settings) as factory:
        agent = agent_with(spec, settings, **address(simulator))
        assert factory.can_render(agent)
        pcm = await factory.render(agent, TEXTS["hi"], rate_hz)
    samples = np.frombuffer(pcm, dtype="<i2")
    assert 0.5 < len(samples) / rate_hz < 10
    assert np.abs(samples).max() > 1_000


@asynccontextmanager
async def simulated(spec: ProviderSpec) -> AsyncIterator[Simulator | None]:
    """The vendor's simulator, listening; None where the provider needs no server."""
    make = SIMULATORS.get((spec.kind, spec.name))
    if make is None:
        yield None
        return
    async with make() as simulator:
        yield simulator


def address(simulator: Simulator | None) -> dict[str, object]:
    return {} if simulator is None else {"base_url": simulator.base_url}
