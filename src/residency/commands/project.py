"""``Project``: in a notebook, what the commands do.

from residency import Project
project = Project.open("demo")
summary = project.run()
project.report()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from residency.commands import merge as merging
from residency.commands import steps as single
from residency.interfaces import Progress, no_progress
from residency.loop import run_loop as loop
from residency.nouns.example import Example, Message, Split
from residency.nouns.issue import Issue
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.project.workspace import Workspace, find_root, read_config
from residency.results import run_summary as summary
from residency.results import trace as tracing

if TYPE_CHECKING:
    from residency.commands.bench import BenchReport
    from residency.commands.check import Checked
    from residency.evaluate.baselines.compare_ways import BaselineReport
    from residency.model.merging import Proof
    from residency.project.endpoints import Endpoint
    from residency.train.estimate import Estimate


class Project(Workspace):
    """A project's folder and everything that can be done with it.

    Each method is the command of the same name; it works on stored rows and returns nouns.
    """

    @classmethod
    def open(
        cls,
        root: str | Path = ".",
        *,
        overrides: Mapping[str, Any] | None = None,
        full: bool = False,
        progress: Progress = no_progress,
    ) -> Self:
        """Open the project at or above ``root``.

        Args:
            overrides: settings by dotted name, e.g. ``{"model.base": "tiny"}``.
            full: use every row, whatever ``data.limit`` says.
            progress: called as long work goes on.

        Raises:
            ConfigError: there is no project, or its settings are wrong.
        """
        folder = find_root(Path(root))
        return cls(folder, read_config(folder, overrides), full=full, progress=progress)

    def run(self) -> summary.RunSummary:
        """The main job: rounds until the issues are resolved or the budget is spent."""
        return loop.run(self)

    def status(self) -> summary.RunSummary:
        """The latest run, from the store alone."""
        return summary.status(self.store)

    def model(self, name: str) -> Model:
        """A stored model by id, id prefix or name (``base``, ``final``, ``round-1``, …)."""
        return single.find_model(self, name)

    def train(self, *, issues: Sequence[str] = (), extend: float = 0.0) -> Model:
        """Train once on train and the rows accepted for these issues, or go on with the last time."""
        return single.train(self, issues=issues, extend=extend)

    def merge(self, model: str, out: str | Path) -> Proof:
        """A stored model's base and adapter as one model folder, with proof that it says the same."""
        return merging.merge(self, model, Path(out))

    def evaluate(
        self, model: str = "base", split: Split = "dev", *, endpoint: Endpoint | None = None
    ) -> single.Assessed:
        """Answers of a model, or of an endpoint, on a split, graded. Only missing ones are made."""
        return single.evaluate(self, model, split, endpoint=endpoint)

    def diagnose(self, model: str = "final") -> single.Diagnosis:
        """Errors and issues in a model's stored dev answers. Nothing is generated."""
        return single.diagnose(self, model)

    def target(self, issue: str, *, count: int | None = None) -> list[Proposal]:
        """Rows proposed for one issue, after the firewall. Nothing is added to the data."""
        return single.target(self, issue, count=count)

    def compare(self, before: str, after: str, split: Split = "dev") -> single.Compared:
        """Two models on the same items, paired."""
        return single.compare(self, before, after, split)

    def chat(self, messages: Sequence[Message], model: str = "final") -> Iterator[str]:
        """Stream a model's answer, piece by piece."""
        return single.chat(self, messages, model)

    def trace(self, key: str) -> tracing.Trace:
        """Where a model, issue, example, response or dataset version came from."""
        return tracing.trace(self.store, key)

    def examples(self, split: Split | None = None) -> list[Example]:
        """The corpus after checks, or one split of it."""
        return self.split(split) if split else list(self.corpus.examples)

    def issues(self) -> list[Issue]:
        """Issues of the latest run."""
        run = self.store.latest_run()
        return self.store.issues(run) if run else []

    def check(self, *, show: int = 0, fix: bool = False, strict: bool = False) -> Checked:
        """What is in the data files, and what is wrong with it; ``fix`` writes a cleaned version."""
        from residency.commands.check import check

        return check(self.root, show=show, fix=fix, strict=strict, progress=self.progress)

    def estimate(self, *, check_steps: int = 0) -> Estimate:
        """Memory and time that training would need; with ``check_steps``, how far that is off."""
        from residency.commands.estimate import estimate

        return estimate(self, check_steps=check_steps)

    def baseline(
        self,
        *,
        split: Split = "dev",
        shots: int = 4,
        documents: Sequence[Path] = (),
        limit: int = 0,
    ) -> BaselineReport:
        """Should I fine-tune at all? The same items by prompting, by retrieval, and tuned."""
        from residency.commands.baseline import baseline

        return baseline(self, split=split, shots=shots, documents=documents, limit=limit)

    def bench(
        self,
        tasks: Sequence[str],
        *,
        models: Sequence[str] = ("base",),
        data: str = "",
        limit: int = 0,
        shots: int | None = None,
    ) -> BenchReport:
        """Public benchmarks of stored models; the later ones are compared with the first."""
        from residency.commands.bench import bench

        return bench(self, tasks, models=models, data=data, limit=limit, shots=shots)

    def report(self, out: str | Path = "", *, run: str = "") -> Path:
        """One self-contained HTML file of the latest run, or of ``run``; where it was written.

        Raises:
            StoreError: nothing was run yet. UserError: the file cannot be written.
        """
        from residency.report.write_report import FILE_NAME, report

        return report(self.store, Path(out) if out else self.root / FILE_NAME, run=run)
