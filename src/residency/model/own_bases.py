"""The bases that the package ships or fetches: their checksums name what our tests ran on."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from residency.model.fetch_base import PACKAGED, packaged_folder


def shipped_folder() -> Path:
    """The folder of the tiny model inside the package."""
    return Path(str(resources.files("residency.model") / "tiny"))


def is_own_base(path: Path) -> bool:
    """Whether a folder is the shipped or a fetched base, and not one of the user's."""
    folders = [shipped_folder(), *(packaged_folder(spec) for spec in PACKAGED.values())]
    return path.resolve() in {folder.resolve() for folder in folders}
