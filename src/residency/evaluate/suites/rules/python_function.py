"""Rule: a Python function of the user's."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from pydantic import field_validator

from residency.evaluate.suites.check_result import Check, Item, leave_unscored
from residency.evaluate.suites.rule import Rule
from residency.nouns.finding import Status


class PythonFunction(Rule):
    """A function of the user's: ``f(response_text, example)`` → bool, None, or (bool, reason).

    It runs with the user's rights, from a file that the user named in the suite.
    """

    NAME: ClassVar[str] = "python"

    function: str
    folder: str = ""
    """Folder of the suite's file, to which ``function`` is relative."""
    file_hash: str = ""
    """Digest of the function's file: an edited function is a new version."""

    @field_validator("function")
    @classmethod
    def _check_form(cls, value: str) -> str:
        path, colon, name = value.rpartition(":")
        if not (path.endswith(".py") and colon and name.isidentifier()):
            raise ValueError(f"{value!r} is not of the form 'file.py:function'")
        return value

    @property
    def detector(self) -> str:
        return f"suite:{self.name or self._function_name}"

    @property
    def default_kind(self) -> str:
        base = self.kind or self._function_name
        return f"{base}:{self.field}" if self.field and not self.kind else base

    @property
    def _function_name(self) -> str:
        return self.function.rpartition(":")[2]

    @cached_property
    def _call(self) -> Callable[..., Any]:
        return load_function(self.function, Path(self.folder))

    def check(self, item: Item) -> Iterable[Check]:
        result = self._call(item.text, item.example)
        verdict, reason = result if isinstance(result, tuple) else (result, "")
        statuses: dict[bool | None, Status] = {True: "pass", False: "fail", None: "unscored"}
        if verdict is not None and not isinstance(verdict, bool):
            yield leave_unscored(f"{self.function} returned {verdict!r}, not True, False or None")
            return
        status = statuses[verdict]
        span = (item.span(0, len(item.text)),) if status == "fail" else ()
        # The function saw only what was there: of a cut answer it cannot know the rest.
        yield Check(status, str(reason), span, final=False)


_modules: dict[tuple[Path, str], ModuleType] = {}
"""Files that have run, by path and digest: each runs once a process."""


def load_function(spec: str, folder: Path) -> Callable[..., Any]:
    """The function named by ``file.py:name``, relative to a folder. Its file runs once.

    Raises:
        ValueError: there is no such file or function, or the file does not run.
    """
    path, _, name = spec.rpartition(":")
    file = (folder / path).resolve()
    if not file.is_file():
        raise ValueError(f"no file {path}")
    key = file, file_digest(file)
    if key not in _modules:
        _modules[key] = _run_file(file, path)
    function = getattr(_modules[key], name, None)
    if not callable(function):
        raise ValueError(f"{path} has no function {name!r}")  # noqa: TRY004 - the file is wrong
    return function  # type: ignore[no-any-return]


def _run_file(file: Path, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"residency_suite_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file that calls exit() must not end the program
        raise ValueError(f"{path} does not run: {type(error).__name__}: {error}") from error
    return module


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
