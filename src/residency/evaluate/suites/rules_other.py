"""Rules that ask something else: an embedder, or a Python function of the user's."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from residency.evaluate.suites.rule import (
    Check,
    Context,
    Item,
    Rule,
    failed,
    passed,
    register,
    unscored,
)
from residency.nouns.finding import Status
from residency.text.words import words


@register
class Similarity(Rule):
    """Cosine of the answer's and the reference's embeddings reaches a threshold."""

    NAME: ClassVar[str] = "similarity"
    KIND: ClassVar[str] = "dissimilar"
    NEEDS_REFERENCE: ClassVar[bool] = True

    threshold: float = Field(0.4, ge=-1, le=1)
    """Least cosine; docs/suites.md shows how the default was chosen."""

    def check_all(self, items: Sequence[Item], context: Context) -> list[list[Check]]:
        if context.embedder is None:
            return [[unscored("no embedder was given")] for _ in items]
        # One call for all: embedders are fastest in large batches.
        texts = [item.text for item in items] + [item.reference or "" for item in items]
        vectors = context.embedder.embed(texts)
        cosines = (vectors[: len(items)] * vectors[len(items) :]).sum(axis=1)
        return [[self._one(i, float(c))] for i, c in zip(items, cosines, strict=True)]

    def _one(self, item: Item, cosine: float) -> Check:
        # A cut can be the reason only while the answer is shorter than the reference.
        final = len(words(item.text)) >= len(words(item.reference or ""))
        message = f"similarity {cosine:.2f}, at least {self.threshold:.2f}"
        if cosine >= self.threshold:
            return passed(message, value=cosine, final=final)
        return failed(message, item.span(0, len(item.text)), value=cosine, final=final)


@register
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
    def _named(cls, value: str) -> str:
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
        try:
            result = self._call(item.text, item.example)
        except Exception as error:
            yield unscored(f"{self.function} raised {type(error).__name__}: {error}")
            return
        verdict, reason = result if isinstance(result, tuple) else (result, "")
        statuses: dict[bool | None, Status] = {True: "pass", False: "fail", None: "unscored"}
        if verdict is not None and not isinstance(verdict, bool):
            yield unscored(f"{self.function} returned {verdict!r}, not True, False or None")
            return
        status = statuses[verdict]
        span = (item.span(0, len(item.text)),) if status == "fail" else ()
        # The function saw only what was there: of a cut answer it cannot know the rest.
        yield Check(status, str(reason), span, final=False)


def load_function(spec: str, folder: Path) -> Callable[..., Any]:
    """The function named by ``file.py:name``, relative to a folder.

    Raises:
        ValueError: there is no such file or function, or the file does not run.
    """
    path, _, name = spec.rpartition(":")
    file = folder / path
    if not file.is_file():
        raise ValueError(f"no file {path}")
    found = importlib.util.spec_from_file_location(f"residency_suite_{file.stem}", file)
    if found is None or found.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} does not run: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{path} has no function {name!r}")  # noqa: TRY004 - the file is wrong
    return function  # type: ignore[no-any-return]


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
