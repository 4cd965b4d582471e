"""Which program wrote a log, and its reader."""

from __future__ import annotations

import json
import re
from pathlib import Path

from residency.errors import DataError
from residency.evaluate.imported_logs.inspect_log import read_inspect_json, read_inspect_zip
from residency.evaluate.imported_logs.lm_eval_samples import find_sample_files, read_lm_eval
from residency.evaluate.imported_logs.logged_items import ImportedLog
from residency.evaluate.imported_logs.promptfoo_results import read_promptfoo
from residency.files.decompress import DAMAGED, damaged_error, open_bytes
from residency.files.json_members import read_json_members

_HEAD = 1 << 22
"""Bytes of a first line by which JSON Lines are told."""
_KNOWN = (
    "lm-eval's samples_*.jsonl (or its folder), Inspect's .eval and .json, promptfoo's results as "
    ".json, .yaml or .jsonl"
)


def is_log(name: str) -> bool:
    """Whether this names a file, or a folder with samples of lm-eval, and no project."""
    path, _ = split_name(name)
    if path.is_dir():
        return not (path / "residency.toml").exists() and any(path.rglob("samples_*.jsonl*"))
    return path.is_file()


def split_name(name: str) -> tuple[Path, str]:
    """``FILE`` or ``FILE#MODEL``."""
    whole = Path(name)
    if whole.exists() or "#" not in name:
        return whole, ""
    path, _, model = name.partition("#")
    return Path(path), model


def read_log(name: str) -> ImportedLog:
    """A log of another program, told by what is in it.

    Args:
        name: a file or folder; ``FILE#MODEL`` where a file of promptfoo has several providers.

    Raises:
        DataError: it is none that is read, or it is damaged or cut off.
    """
    path, model = split_name(name)
    if path.is_dir():
        return read_lm_eval(find_sample_files(path))
    try:
        with open_bytes(path) as handle:
            head, second = handle.readline(_HEAD), handle.readline(1 << 10)
    except DAMAGED as error:
        raise damaged_error(path, error) from None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if head.startswith(b"PK") or path.suffix == ".eval":
        return read_inspect_zip(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_promptfoo(path, model)
    kind = _find_program(path, head, is_lines=bool(second.strip()))
    if kind == "lm-eval":
        return read_lm_eval(path)
    if kind == "promptfoo":
        return read_promptfoo(path, model)
    if kind == "inspect":
        return read_inspect_json(path)
    raise DataError("no log that is read here", where=str(path), next_step=f"give {_KNOWN}")


def _find_program(path: Path, head: bytes, *, is_lines: bool) -> str:
    """``lm-eval``, ``promptfoo``, ``inspect`` or nothing. ``is_lines``: there is a second line."""
    try:
        row = json.loads(head)
    except (ValueError, RecursionError):
        row = None
    if isinstance(row, dict) and "doc_id" in row:
        return "lm-eval"
    if isinstance(row, dict) and "success" in row:
        return "promptfoo"
    if re.match(rb'\s*\{\s*"doc_id"', head):
        return "lm-eval"  # its reader tells which line is damaged
    if not head.lstrip().startswith(b"{") or (row is not None and is_lines):
        return ""  # no object, or lines that are objects of another program
    for path_in_file, _, _ in read_json_members(
        path, [("results", "results"), ("results",), ("samples",)]
    ):
        if path_in_file == ("eval",):
            return "inspect"
        if path_in_file[0] == "results":
            return "promptfoo"
    return ""
