"""What a step of the loop needs of an opened project, so that its signature says it.

A step names the least of these that it can work with; ``Workspace`` has all of them, and only the
story itself (``loop/run_loop.py`` and what it tells step by step) takes the whole. All are read only,
and made at their first use: a step whose answers are stored loads no model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from residency.config.settings import Config
from residency.interfaces import Embedder, Progress
from residency.nouns.example import Example, Split
from residency.nouns.issue import Slice
from residency.nouns.response import Sampling
from residency.store.store import Store

if TYPE_CHECKING:
    from residency.chat.chat_format import ChatFormat
    from residency.data.corpus import Corpus
    from residency.evaluate.suites.primary_metric import PrimaryMetric
    from residency.evaluate.suites.suite import Suite
    from residency.infer.local_engine import LocalEngine
    from residency.model.base_model import BaseModel
    from residency.project.general_rows import GeneralRows


class HasRun(Protocol):
    """The store, and the run whose stages are stored in it."""

    @property
    def store(self) -> Store:
        """The project's store."""

    @property
    def run_id(self) -> str:
        """The run's fingerprint."""

    def record_run(self) -> str:
        """Store what the run is made of; its id."""

    progress: Progress
    """Called as long work goes on."""


class HasFolder(Protocol):
    """The settings, and the folder that their paths are relative to."""

    root: Path
    config: Config


class HasSettings(HasRun, HasFolder, Protocol):
    """Both."""


class HasRows(HasSettings, Protocol):
    """The examples too."""

    @property
    def corpus(self) -> Corpus:
        """Every example."""

    def split(self, split: Split) -> list[Example]:
        """Examples of one split, in order."""

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by split."""

    @property
    def general_rows(self) -> GeneralRows:
        """General rows that may be trained beside those of the task."""


class HasBase(HasRows, Protocol):
    """The base model's files and chat format too: enough to train."""

    @property
    def base(self) -> BaseModel:
        """The base model."""

    @property
    def chat_format(self) -> ChatFormat:
        """Its chat format."""


class HasEngine(HasBase, Protocol):
    """The engine too: enough to have a model answer."""

    @property
    def engine(self) -> LocalEngine:
        """Generation and scoring."""

    @property
    def sampling(self) -> Sampling:
        """How answers are generated."""


class HasMeasures(HasRows, Protocol):
    """What answers are measured by: suite, embedder, the task's classes, slices."""

    @property
    def suite(self) -> Suite:
        """The test suite."""

    @property
    def embedder(self) -> Embedder:
        """Vectors of texts."""

    @property
    def primary_metric(self) -> PrimaryMetric:
        """What models are compared by."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that answers are drawn from; empty for any other task."""

    @property
    def slices(self) -> list[Slice]:
        """Slices beside the tags."""


class HasAnswers(HasEngine, HasMeasures, Protocol):
    """Both: enough to answer and to measure the answers."""
