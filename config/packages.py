"""Which Python packages are installed, found without importing any of them."""

from importlib.machinery import PathFinder
from importlib.util import find_spec

from config.providers import ProviderSpec


def missing_packages(spec: ProviderSpec) -> list[str]:
    """Import names that the provider needs and that are not installed here."""
    return [package for package in spec.packages if not is_installed(package)]


def is_installed(package: str) -> bool:
    """Whether ``package`` could be imported.

    Nothing is imported, the packages around a dotted name neither: some take seconds.

    Args:
        package: An import name, such as ``deepgram`` or ``google.cloud.speech``.
    """
    name, *inner = package.split(".")
    try:
        found = find_spec(name)
    except ValueError:
        # A module that somebody put together by hand has no specification.
        return not inner
    for part in inner:
        if found is None or found.submodule_search_locations is None:
            return False
        name = f"{name}.{part}"
        found = PathFinder.find_spec(name, list(found.submodule_search_locations))
    return found is not None
