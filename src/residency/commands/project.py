"""``Project``: in a notebook, what the commands do.

from residency import Project
project = Project.open("demo")
summary = project.run()
project.report()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from residency.commands.chat import chat
from residency.commands.compare import Compared, compare
from residency.commands.diagnose import Diagnosis, diagnose
from residency.commands.evaluate import evaluate
from residency.commands.merge import merge
from residency.commands.notebook_charts import show_charts
from residency.commands.notebook_progress import choose_progress
from residency.commands.people_steps import PeopleSteps
from residency.commands.run import run
from residency.commands.target import target
from residency.commands.train import train
from residency.errors import StoreError
from residency.interfaces import Progress
from residency.loop.assess import Assessment
from residency.nouns.example import Example, Message, Split
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.plugins import use_plugin_files
from residency.project.check_names import check_names
from residency.project.named_models import find_model
from residency.project.opened_settings import (
    find_opened_settings,
    is_opened_full,
    list_chosen_options,
)
from residency.project.project_plugins import scope_plugins
from residency.project.settings_file import find_project_root, read_config
from residency.results.run_summary import RunSummary, summarise_run
from residency.results.table_rows import TableRows
from residency.results.trace import Trace, trace_id
from residency.store.store import Store

if TYPE_CHECKING:
    from residency.commands.check import Checked
    from residency.commands.gate import GateReport
    from residency.commands.ingest import Ingested
    from residency.commands.moderate import Moderation
    from residency.commands.suite import DraftedSuite
    from residency.evaluate.baselines.baseline_report import BaselineReport
    from residency.evaluate.suites.sensitivity_table import Sensitivity
    from residency.loop.measure_benchmarks import BenchReport
    from residency.model.merging import MergeProof
    from residency.project.endpoints import Endpoint
    from residency.results.usage import Usage
    from residency.sweep.search_options import SearchOptions
    from residency.sweep.search_result import SearchResult
    from residency.sweep.sweep_options import SweepOptions
    from residency.sweep.sweep_result import SweepResult
    from residency.train.estimate import Estimate

show_charts()


@scope_plugins
class Project(PeopleSteps):
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
        as_opened: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """Open the project at or above ``root``.

        Args:
            overrides: settings by dotted name, e.g. ``{"model.base": "tiny"}``.
            full: use every row, whatever ``data.limit`` says.
            as_opened: with the base and the options of the run that was opened last, where that run
                was started with some and the settings still say the same as then.
            progress: called as long work goes on; default: bars in a notebook, silence elsewhere.

        Raises:
            ConfigError: there is no project, or its settings are wrong.
        """
        folder = find_project_root(Path(root))
        config = read_config(folder)
        opened = find_opened_settings(folder, config) if as_opened else {}
        full = full or (as_opened and is_opened_full(folder, config))
        chosen = {**opened, **(overrides or {})}
        used = read_config(folder, chosen) if chosen else config
        project = cls(folder, used, full=full, progress=progress or choose_progress())
        project.base_in_settings = config.model.base
        project.chosen_options = list_chosen_options(used, config)
        with use_plugin_files(project.plugin_files):
            check_names(folder, project.config)
        return project

    def __repr__(self) -> str:
        return f"<Project {self.config.project.name!r} in {self.root}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the latest run, or that there is none. Nothing is made for it."""
        heading = f"<b>{escape(self.config.project.name)}</b> <code>{escape(str(self.root))}</code>"
        try:
            store = Store(self.root, self.config.project.store, create=False)
            try:
                shown = summarise_run(store)._repr_html_()
            finally:
                store.close()
        except StoreError:
            shown = "<p>Nothing was run here yet: <code>project.run()</code></p>"
        return f"<div>{heading}{shown}</div>"

    def run(self, *, jobs: int = 1, cluster: str = "", artifacts: str = "") -> RunSummary:
        """The main job: rounds until the issues are resolved or the budget is spent.

        Args:
            jobs: trainings and answers in so many processes of this machine. cluster: on a Ray
                cluster instead. artifacts: folder or URL that its machines reach.
        """
        return run(self, jobs=jobs, cluster=cluster, artifacts=artifacts)

    def status(self) -> RunSummary:
        """The latest run, from the store alone."""
        return summarise_run(self.store)

    def model(self, name: str) -> Model:
        """A stored model by id, id prefix or name (``base``, ``final``, ``round-1``, …)."""
        return find_model(self, name)

    def train(self, *, issues: Sequence[str] = (), extend: float = 0.0) -> Model:
        """Train once on train and the rows accepted for these issues, or go on with the last time."""
        return train(self, issues=issues, extend=extend)

    def merge(self, model: str, out: str | Path, *, force: bool = False) -> MergeProof:
        """A stored model's base and adapter as one model folder, with proof that it says the same."""
        return merge(self, model, Path(out), force=force)

    def evaluate(
        self, model: str = "base", split: Split = "dev", *, endpoint: Endpoint | None = None
    ) -> Assessment:
        """Answers of a model, or of an endpoint, on a split, graded. Only missing ones are made."""
        return evaluate(self, model, split, endpoint=endpoint)

    def diagnose(self, model: str = "final") -> Diagnosis:
        """Errors and issues in a model's stored dev answers. Nothing is generated."""
        return diagnose(self, model)

    def target(
        self, issue: str, *, count: int | None = None, selector: str | None = None
    ) -> TableRows[Proposal]:
        """Rows proposed for one issue, after the firewall. Nothing is added to the data."""
        rows = target(self, issue, count=count, selector=selector)
        return TableRows(rows, name="proposals")

    def compare(self, before: str, after: str, split: Split = "dev") -> Compared:
        """Two models on the same items, paired."""
        return compare(self, before, after, split)

    def gate(
        self,
        baseline: str = "",
        *,
        margin: float = 0.05,
        alpha: float = 0.05,
        coverage: float = 0.9,
        strict: bool = False,
    ) -> GateReport:
        """May the final model go out? ``report.passed``, and ``report.reasons`` where it may not.

        Args:
            baseline: a run's id, ``previous``, ``round-N``, or a file of ``gate --save``; empty: the
                run's own verdicts speak. margin: the rise of a failure rate that is accepted.
        """
        from residency.commands.gate import GateLimits, gate

        return gate(self.store, self.root, baseline, GateLimits(alpha, margin, coverage, strict))

    def chat(self, messages: Sequence[Message], model: str = "final") -> Iterator[str]:
        """Stream a model's answer, piece by piece."""
        return chat(self, messages, model)

    def trace(self, key: str) -> Trace:
        """Where a model, issue, example, response or dataset version came from."""
        return trace_id(self.store, key)

    def examples(self, split: Split | None = None) -> TableRows[Example]:
        """The corpus after checks, or one split of it."""
        rows = self.split(split) if split else self.corpus.examples
        return TableRows(rows, name="examples")

    def check(self, *, show: int = 0, fix: bool = False, strict: bool = False) -> Checked:
        """What is in the data files, and what is wrong with it; ``fix`` writes a cleaned version."""
        from residency.commands.check import check

        return check(self.root, show=show, fix=fix, strict=strict, progress=self.progress)

    def estimate(self, *, check_steps: int = 0) -> Estimate:
        """Memory and time that training would need; with ``check_steps``, how far that is off."""
        from residency.commands.estimate import estimate

        return estimate(self, check_steps=check_steps)

    def sweep(self, options: SweepOptions | None = None) -> SweepResult:
        """How much data and how much model: trainings on growing shares, curves, sizes, advice."""
        from residency.commands.sweep import sweep
        from residency.sweep.sweep_options import SweepOptions

        return sweep(self, options or SweepOptions())

    def search(self, options: SearchOptions | None = None) -> SearchResult:
        """Better settings of ``[train]``: tried, and the best confirmed by fresh trainings."""
        from residency.commands.search import search_settings
        from residency.sweep.search_options import SearchOptions

        return search_settings(self, options or SearchOptions())

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

    def serve(self, *, host: str = "127.0.0.1", port: int = 8643, preload: str = "final") -> None:
        """Serve the models behind OpenAI's API until SIGTERM or Ctrl-C."""
        from residency.commands.serve import serve

        serve(self, host=host, port=port, preload=preload)

    def usage(self, *, days: float = 30.0, price_per_hour: float | None = None) -> Usage:
        """What the server was used for in the last days, and at what cost."""
        from residency.commands.usage import usage

        return usage(self, days=days, price_per_hour=price_per_hour)

    def moderate(self, text: str, side: Literal["input", "output"] = "output") -> Moderation:
        """What moderation does with a text, by the project's settings. Nothing is stored."""
        from residency.commands.moderate import moderate

        return moderate(self, text, side)

    def ingest(
        self, files: Sequence[str], *, keep_personal: bool = False, limit: int = 0
    ) -> Ingested:
        """Logs of production as unlabelled traffic, with errors in it and what is new in it."""
        from residency.commands.ingest import ingest

        return ingest(self, files, keep_personal=keep_personal, limit=limit)

    def draft_suite(
        self, *, out: str = "suite.toml", write: bool = True, force: bool = False, use: bool = False
    ) -> DraftedSuite:
        """Draft a suite from train and dev, and measure what it and the one in use tell apart."""
        from residency.commands.suite import write_suite_draft

        return write_suite_draft(self, out=out, write=write, force=force, use=use)

    def try_suite(self) -> Sensitivity:
        """What the suite in use passes and fails of right and wrong answers to dev items."""
        from residency.commands.suite import try_suite

        return try_suite(self)

    def report(self, out: str | Path = "", *, run: str = "") -> Path:
        """One self-contained HTML file of the latest run, or of ``run``; where it was written.

        Raises:
            StoreError: nothing was run yet. UserError: the file cannot be written.
        """
        from residency.commands.report import report

        return report(self.root, self.store, out, run=run)
