"""What every registered provider owes the rest of the server, whoever the vendor is."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pydantic import ValidationError

from config.errors import ConfigError
from config.languages import LANGUAGES
from config.providers import PROVIDER_KINDS, ProviderSpec, option_spellings
from config.resolve import provider_language
from config.settings import Settings, load_settings
from services.registry import VENDORS, catalog
from tests.contract.providers import (
    ALL,
    BASES,
    KEY_FILES,
    RATES_HZ,
    REMOTE,
    ROOT,
    SPEAKERS,
    TEXTS,
    address,
    agent_with,
    every,
    factory_for,
    keys,
    least,
    name_of,
    simulated,
    use,
)
from tests.contract.vendors import SIMULATORS
from tests.unit.services.calls import on_the_line

#: Deepgram's SDK 7.17 imports names that websockets has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def keys_at_hand(key_files: dict[str, str]) -> None:
    KEY_FILES.update(key_files)


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
