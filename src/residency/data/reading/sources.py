"""What the user may name as a source: files, folders, globs, database queries, hub paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from residency.config.data import DataConfig
from residency.config.secret_url import SecretUrl, reveal_url
from residency.data.reading.clean_text import clean_label
from residency.errors import ConfigError, DataError, MissingExtraError
from residency.files.decompress import inner_suffix
from residency.files.opening import Kind, find_kind
from residency.files.record import Record
from residency.files.records import read_records
from residency.nouns.example import SPLITS, Split

DATA_ENDINGS = [
    ".json",
    ".jsonc",
    ".json5",
    ".jsonl",
    ".ndjson",
    ".csv",
    ".tsv",
    ".tab",
    ".psv",
    ".parquet",
    ".arrow",
    ".feather",
    ".txt",
    ".text",
    ".md",
    ".yaml",
    ".yml",
]

_ABOUT_DATA = {
    "readme", "license", "licence", "notice", "citation", "changelog", "dataset_info", "dataset_infos",
    "dataset_dict", "state",
}  # fmt: skip
"""Names of files beside the rows: pages about them, and what Hugging Face's and LLaMA-Factory's
libraries write of them."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Source:
    """One thing to read. ``name`` is how messages speak of it."""

    name: str
    kind: Kind | str
    path: Path | None = None
    query: str = ""
    url: str = ""

    def records(self) -> Iterator[Record]:
        """Its rows, as a stream."""
        if self.kind == "postgresql":
            return _read_postgresql(self.url, self.query)
        if self.kind == "hub":
            return _read_hub_file(self.url)
        assert self.path is not None
        return read_records(self.path, self.kind, query=self.query)  # type: ignore[arg-type]


DROPPED_FILE = "dropped.jsonl"
"""Lists, in a cleaned copy, what was left out of it."""


def find_sources(paths: Sequence[str], root: Path) -> list[Source]:
    """Every source that ``paths`` name, folders and globs opened, in a fixed order.

    Raises:
        DataError: nothing is there, or a file is empty.
    """
    out: list[Source] = []
    for spec in paths:
        out += list(_find_spec(reveal_url(spec), root))
    return out


def list_data_files(folder: Path) -> list[Path]:
    """The data files below a folder, without hidden folders and the cleaned copies of ``check --fix``:
    their rows are those of the files beside them. Of a cleaned copy itself, the rows that it kept."""
    if (folder / DROPPED_FILE).is_file():
        return [path for split in SPLITS if (path := folder / f"{split}.jsonl").is_file()]
    files = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).parents
        between = [folder / part for part in list(inner)[:-1]]
        if any(part.name.startswith(".") or (part / DROPPED_FILE).is_file() for part in between):
            continue
        if path.is_file() and is_data_file(path):
            files.append(path)
    return files


def _find_spec(spec: str, root: Path) -> Iterator[Source]:
    if spec.startswith("hf://"):
        yield Source(spec, "hub", url=spec)
        return
    if spec.startswith(("postgresql://", "postgres://")):
        address, query = _divide_query(spec)
        yield Source(_name_database(address), "postgresql", url=address, query=query)
        return
    if spec.startswith("sqlite:///"):
        address, query = _divide_query(spec)
        path = root / address.removeprefix("sqlite:///")
        if not path.is_file():
            raise DataError("no such database", where=str(path))
        yield Source(address.removeprefix("sqlite:///"), "sqlite", path, query)
        return
    path = root / spec
    if _ADDRESS.match(spec) and not path.exists():
        raise DataError(
            "data is not read from this kind of address; nothing was fetched",
            where=str(SecretUrl(spec)),
            next_step="download it and name the file; hf://datasets/OWNER/NAME/PATH, "
            "postgresql:// and sqlite:/// are read",
        )
    if path.is_dir():
        files = list_data_files(path)
    elif any(c in spec for c in "*?[") and not path.exists():
        files = sorted(p for p in root.glob(spec) if p.is_file())
    else:
        files = [path]
    if not files:
        raise DataError("no data files there", where=spec, next_step=f"it looks in {path}")
    for file in files:
        if not file.is_file():
            raise DataError(
                "no such file",
                where=spec,
                next_step=f"it is looked for at {file}; paths are relative to residency.toml",
            )
        yield Source(_show_path(file, root), find_kind(file), file)


def is_data_file(path: Path) -> bool:
    """Whether a file in a folder is read: by the ending of its name. Not read are hidden files, and
    those that tell of a data set or were made from it."""
    name = path.name.lower()
    return (
        inner_suffix(path) in DATA_ENDINGS
        and not name.startswith(".")
        and name.split(".")[0] not in _ABOUT_DATA
        and not (name.startswith("cache-") and name.endswith(".arrow"))
    )


def _show_path(path: Path, root: Path) -> str:
    try:
        return clean_label(path.relative_to(root).as_posix())
    except ValueError:
        return clean_label(path.as_posix())


def _divide_query(spec: str) -> tuple[str, str]:
    mark = re.search(r"[?&]query=", spec)
    address, query = (spec[: mark.start()], spec[mark.end() :]) if mark else (spec, "")
    if not mark:
        shown = SecretUrl(address)
        raise DataError(
            "a query is needed to read a database",
            where=shown,
            next_step=f'write it as "{shown}?query=SELECT question, answer FROM faq"',
        )
    return address, unquote(query) if "%20" in query else query


def _name_database(address: str) -> str:
    """How messages and rows speak of a database: its host and name, nobody's name or password."""
    return SecretUrl(address).rsplit("@", 1)[-1]


def _read_postgresql(url: str, query: str) -> Iterator[Record]:
    try:
        import psycopg
    except ImportError:
        raise MissingExtraError(
            "reading PostgreSQL needs psycopg", next_step='pip install "psycopg[binary]"'
        ) from None
    try:
        with psycopg.connect(url) as connection:
            connection.read_only = True
            # A named cursor stays on the server: rows arrive a batch at a time.
            with connection.cursor(name="residency") as cursor:
                cursor.execute(query.encode())
                names = [column.name for column in cursor.description or ()]
                for number, row in enumerate(cursor, 1):
                    yield Record(number, dict(zip(names, row, strict=True)))
    except psycopg.Error as error:
        raise DataError(f"the query failed: {error}", where=_name_database(url)) from None


def _read_hub_file(url: str) -> Iterator[Record]:
    """Rows of a dataset file on the Hugging Face hub, through a local copy of that file."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    repo, revision, file = _hub_path(url)
    try:
        local: Any = huggingface_hub.hf_hub_download(
            repo, file, repo_type="dataset", revision=revision
        )
    except (HfHubHTTPError, OSError) as error:
        raise DataError(
            f"cannot be fetched from the hub: {str(error).splitlines()[0]}",
            where=url,
            next_step="check the path and the network, or name a local copy",
        ) from None
    path = Path(local)
    yield from read_records(path, find_kind(path))


def _hub_path(url: str) -> tuple[str, str | None, str]:
    parts = url.removeprefix("hf://").removeprefix("datasets/").split("/", 2)
    if len(parts) < 3 or not parts[2]:
        raise DataError(
            "a file in a dataset is expected",
            where=url,
            next_step="write hf://datasets/OWNER/NAME/PATH, e.g. "
            "hf://datasets/tatsu-lab/alpaca/data/train.parquet",
        )
    name, _, revision = parts[1].partition("@")
    return f"{parts[0]}/{name}", revision or None, parts[2]


def list_split_files(data: DataConfig) -> dict[Split, Sequence[str]]:
    """What the settings name for each split.

    Raises:
        ConfigError: no training files are named.
    """
    if not data.train:
        raise ConfigError(
            "no training files are named",
            where="residency.toml [data] train",
            next_step='e.g. train = ["data/train.jsonl"]',
        )
    return {split: getattr(data, split) for split in SPLITS}
