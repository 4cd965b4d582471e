"""Examples that ship with the package; ``residency init DIR --example NAME`` copies one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from residency.errors import ConfigError
from residency.files.atomic_write import write_bytes

EXAMPLES: dict[str, str] = {
    "tickets": "a customer's message → a structured ticket and one polite sentence",
}
"""Name and one line of each example."""

_SETTINGS = ("residency.toml", "suite.toml", "README.md")
_DATA = ("train.jsonl", "dev.jsonl", "test.jsonl", "pool.jsonl")


def copy_example(name: str, folder: Path) -> list[Path]:
    """Write an example as a project: settings, suite and README, and the rows under ``data/``.

    Returns the files written. Nothing that is there is overwritten.

    Raises:
        ConfigError: there is no such example, or one of its files is there already.
    """
    if name not in EXAMPLES:
        raise ConfigError(
            f"there is no example {name!r}",
            where="--example",
            next_step=f"choose one of: {', '.join(EXAMPLES)}",
        )
    source = resources.files(__name__) / name
    places = {file: folder / file for file in _SETTINGS}
    places |= {file: folder / "data" / file for file in _DATA}
    for path in places.values():
        if path.exists():
            raise ConfigError(
                "a file of the example is there already",
                where=str(path),
                next_step="choose an empty folder",
            )
    for file, path in places.items():
        write_bytes(path, (source / file).read_bytes())
    return list(places.values())
