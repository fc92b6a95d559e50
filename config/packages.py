"""Which Python packages are installed, found without importing any of them."""

from collections.abc import Iterable
from importlib.util import find_spec
from pkgutil import get_importer

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
        top = find_spec(name)
    except ValueError:
        # A module that somebody put together by hand has no specification.
        return not inner
    if top is None:
        return False
    folders: list[str] | None = list(top.submodule_search_locations or ())
    for part in inner:
        name = f"{name}.{part}"
        folders = _inside(folders or (), name)
    return folders is not None


def _inside(folders: Iterable[str], name: str) -> list[str] | None:
    """The folders of a package inside its parent's; empty for a module, None where it is not.

    ``PathFinder`` would do it, were it not that it wants the parents of a namespace package
    (``azure.cognitiveservices``) imported.
    """
    portions: list[str] = []
    for folder in folders:
        finder = get_importer(folder)
        found = finder.find_spec(name) if finder is not None else None
        if found is None:
            continue
        if found.loader is not None:
            return list(found.submodule_search_locations or ())
        portions += found.submodule_search_locations or ()
    return portions or None
