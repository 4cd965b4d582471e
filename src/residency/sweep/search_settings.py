"""A search for settings: tried on the items that find issues, confirmed afresh on those that measure.

Optuna proposes settings (tree-structured Parzen estimator). Its Wilcoxon pruner compares a trial with
the best so far, item by item, after every training, and leaves it when it is worse. Proposals hang on
the seed and on what was measured alone, and trainings are jobs that are never done twice: the same
search, stopped anywhere, goes on where it was.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from residency.errors import DataError, MissingExtraError, TrainingError
from residency.interfaces import ProgressEvent
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import JobStore, open_job_store
from residency.jobs.open_runner import open_runner
from residency.jobs.run_jobs import Runner, run_jobs
from residency.loop.ask_servers import ask_servers
from residency.loop.item_outcomes import map_groups
from residency.nouns.content_id import canonical_json
from residency.project.dev_split import split_dev
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.sweep.cell import Cell, Variant
from residency.sweep.changed_settings import read_setting
from residency.sweep.measured_cells import MeasuredCells, score_items
from residency.sweep.plan import START_SECONDS, VariantCost
from residency.sweep.search_options import SearchOptions
from residency.sweep.search_result import (
    SearchResult,
    Trial,
    describe_gain,
    describe_trial,
    measure_gain,
)
from residency.sweep.search_space import Range, Space, choose_space, read_space
from residency.sweep.sweep_jobs import EstimateTraining, SweepJobs, measure_cost
from residency.text.counts import write_count
from residency.text.percent import write_percent

if TYPE_CHECKING:
    import optuna

STAGE = "search"
SURE = 0.1
"""p below which the pruner calls a trial worse than the best."""

MOST_PROPOSALS = 10
"""Proposals for each trial: where all choices were tried, the next ones are but repeated."""

Scores = dict[str, float | None]


@dataclass
class Search:
    """One search in a project.

    Args:
        ws: the project. estimate: memory and time of a training, by a probe.

    Raises:
        MissingExtraError: Optuna is not installed.
        UserError, ConfigError: a setting cannot be searched, or does not take a value.
    """

    ws: Workspace
    options: SearchOptions
    estimate: EstimateTraining
    space: Space = field(init=False)
    cost: VariantCost = field(init=False)
    _store: JobStore = field(init=False)
    _jobs: SweepJobs = field(init=False)
    _runner: Runner = field(init=False)
    _measured: MeasuredCells = field(init=False)
    _began: float = 0.0

    def __post_init__(self) -> None:
        _require_optuna()
        ws, options = self.ws, self.options
        train = ws.config.train
        self.space = read_space(options.vary, train) if options.vary else choose_space(train)
        self._store = open_job_store(str(ws.store.folder / "sweep"))
        self._jobs = SweepJobs(ws, self._store, ws.config.model.threads)
        _ = self._jobs.open_variant(Variant(self.base)).base

    @property
    def base(self) -> str:
        """The base that is trained."""
        return self.options.base or self.ws.config.model.base

    def plan(self) -> int:
        """Measure what a training takes, by a probe; how many trials fit the time.

        Raises:
            DataError: there is too little to train or measure on.
        """
        finding, measuring = split_dev(self.ws)
        if len(self.ws.split("train")) < 3 or not finding or not measuring:
            raise DataError(
                "a search needs 3 train rows, and dev items both to choose and to measure",
                where="residency.toml [data]",
            )
        self.cost = measure_cost(self._jobs, Variant(self.base), self.estimate)
        if not self.options.minutes:
            return self.options.trials
        left = 60 * self.options.minutes - self.cost.frozen_seconds - self.confirm_seconds
        fit = int(left // (self.options.seeds * self.predict_training()))
        return max(2, min(self.options.trials, fit))

    def predict_training(self, settings: Mapping[str, Any] | None = None) -> float:
        """Seconds of one training with its answers, by the estimate."""
        chosen = settings or {}
        rows = len(self.ws.split("train"))
        batch = int(chosen.get("batch_size", self.cost.batch_size))
        cost = replace(self.cost, epochs=float(chosen.get("epochs", self.cost.epochs)))
        steps = cost.predict_training(rows) * self.cost.batch_size / batch
        answers = len(self.ws.split("dev")) * self.ws.config.generate.samples
        return START_SECONDS + steps + answers * self.cost.answer_seconds

    @property
    def confirm_seconds(self) -> float:
        """Seconds of the fresh trainings at the end, by the estimate."""
        return 2 * self.options.confirm * self.predict_training()

    def run(self, trials: int) -> SearchResult:
        """Try, choose, confirm.

        Raises:
            StoreLockedError: another process writes to the project.
            ResidencyError: a job failed for another reason than its settings; what is done stays.
        """
        self._began = time.monotonic()
        self._measured = MeasuredCells(self.ws, self._store)
        ask_servers(self.ws)
        with (
            self.ws.store.writer("search"),
            open_runner(self._store, progress=self.ws.progress) as runner,
        ):
            self._runner = runner
            run = self.ws.store.latest_run() or self.ws.open_run()
            tried, notes = self._try_settings(trials)
            best = self._choose_best(tried)
            gain = None
            if best:
                best_scores, project_scores = self._confirm(best), self._confirm({})
                gain = measure_gain(best_scores, project_scores, map_groups(self.ws.split("dev")))
            metric = self.ws.primary_metric.title
            result = SearchResult(
                run=run,
                metric=metric,
                trials=tuple(tried),
                best=best,
                gain=gain,
                words=tuple(describe_gain(best, gain, metric, len(tried))),
                seconds=time.monotonic() - self._began,
                notes=tuple(notes),
            )
            self.ws.store.add_record(RecordKind.SEARCH, run, result.to_dict())
        return result

    # --- trials -----------------------------------------------------------------------------

    def _try_settings(self, trials: int) -> tuple[list[Trial], list[str]]:
        study = _open_study(self.ws.config.project.seed)
        tried: list[Trial] = []
        tried_settings: dict[str, Trial] = {}
        train_settings = self.ws.config.train
        study.enqueue_trial({name: read_setting(train_settings, name) for name in self.space})
        for _ in range(trials * MOST_PROPOSALS):
            if (number := len(tried)) == trials:
                return tried, []
            if number > 1 and self._is_out_of_time():
                return tried, [
                    f"the time was spent after {number} of {trials} trials: with more --minutes the same "
                    "command goes on"
                ]
            proposed = study.ask()
            settings = _suggest(proposed, self.space)
            if (known := tried_settings.get(canonical_json(settings))) is not None:
                study.tell(proposed, known.score or 0.0)
                continue
            trial = self._try(study, proposed, {} if number == 0 else settings)
            tried.append(trial)
            tried_settings[canonical_json(settings)] = trial
            shown = "failed" if trial.score is None else write_percent(trial.score)
            detail: dict[str, float | str] = {"now": f"{describe_trial(trial.settings)}: {shown}"}
            self.ws.progress(ProgressEvent(STAGE, number + 1, trials, "trials", detail))
        return tried, [f"{write_count(len(tried), 'choice')} of settings: no others were proposed"]

    def _try(
        self, study: optuna.Study, proposed: optuna.Trial, settings: Mapping[str, Any]
    ) -> Trial:
        """Train ``seeds`` times at most; stop when it is clearly worse than the best."""
        finding, _ = split_dev(self.ws)
        items = sorted(finding)
        values: list[float] = []
        for repeat in range(self.options.seeds):
            try:
                scores = self._train(settings, repeat, finding)
            except TrainingError as error:
                study.tell(proposed, 0.0)  # a choice that cannot be trained is the worst there is
                return Trial(settings, repeat, None, failure=error.what)
            for position, item in enumerate(items):
                values.append(scores.get(item) or 0.0)
                proposed.report(values[-1], repeat * len(items) + position)
            done = repeat + 1
            if done < self.options.seeds and proposed.should_prune():
                break
        mean = sum(values) / len(values)
        study.tell(proposed, mean)
        return Trial(settings, done, mean, stopped=done < self.options.seeds)

    def _choose_best(self, tried: Sequence[Trial]) -> Mapping[str, Any]:
        """Settings of the best trial with all its trainings; empty for the project's."""
        whole = [trial for trial in tried if trial.score is not None and not trial.stopped]
        best = max(whole, key=lambda trial: trial.score or 0.0, default=None)
        return best.settings if best is not None else {}

    def _confirm(self, settings: Mapping[str, Any]) -> list[Scores]:
        """Scores of the measuring items by trainings under seeds that no trial had."""
        _, measuring = split_dev(self.ws)
        first, count = self.options.seeds, self.options.confirm
        out = []
        for number in range(count):
            name = describe_trial(settings)
            self.ws.progress(ProgressEvent("confirm", number, count, "trainings", {"now": name}))
            out.append(self._train(settings, first + number, measuring))
        self.ws.progress(ProgressEvent("confirm", count, count, "trainings"))
        return out

    def _train(self, settings: Mapping[str, Any], repeat: int, items: set[str]) -> Scores:
        """One training on all rows, and its score on the items."""
        variant = Variant(self.base, dict(settings))
        cell = Cell(variant, len(self.ws.split("train")), 1.0, repeat)
        jobs = self._jobs.make_cell(cell, self.cost.memory)

        def keep(job: Job, result: JobResult) -> None:
            if job.id == jobs[-1].id:
                self._measured.add(variant.name, cell, result)

        run_jobs(jobs, self._store, self._runner, on_done=keep)
        return score_items(self._measured.all[-1], items)

    def _is_out_of_time(self) -> bool:
        if not self.options.minutes:
            return False
        passed = time.monotonic() - self._began
        needed = self.predict_training() * self.options.seeds + self.confirm_seconds
        return passed + needed > 60 * self.options.minutes


def _suggest(proposed: optuna.Trial, space: Space) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            settings[name] = proposed.suggest_categorical(name, list(values))
        elif values.whole:
            low, high = int(values.low), int(values.high)
            settings[name] = proposed.suggest_int(name, low, high, log=values.is_logarithmic)
        else:
            value = proposed.suggest_float(name, values.low, values.high, log=values.is_logarithmic)
            settings[name] = float(f"{value:.2g}")  # no one needs the third digit
    return settings


def _open_study(seed: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=SURE)
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
        return optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "a search needs Optuna", next_step="pip install 'residency[search]'"
        ) from None
