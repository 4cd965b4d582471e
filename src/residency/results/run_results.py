"""One read-out of a run, from the store alone: what terminal, report, pages and ``trace`` show.

Each part is read at its first use. No model and no data file is opened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from residency.errors import NotRunError, StoreError
from residency.evaluate.suites.sensitivity_table import Sensitivity, read_sensitivity
from residency.nouns.content_id import id_begins
from residency.nouns.dataset_version import DatasetVersion
from residency.results.alpha_share import AlphaShare
from residency.results.arm_figures import (
    ArmsPlan,
    ArmsTested,
    Falls,
    NoiseFloor,
    read_arms_tested,
    read_noise,
)
from residency.results.arm_sentences import DEV_IS_A_GUIDE
from residency.results.change_figures import ArmsTogether, Expectation, IssueArms
from residency.results.issue_labels import correct_rates, has_labels
from residency.results.issue_results import IssueResult, join_issues
from residency.results.judged_answers import JudgedAnswers
from residency.results.kinds import kind_order
from residency.results.leading_figures import LeadingFigures, choose_leading_figures
from residency.results.measuring_items import find_measuring
from residency.results.model_results import ModelResult
from residency.results.run_figures import Forgetting, RunData, Training
from residency.results.score_figures import ScoresFigures
from residency.results.sealed_figures import SealedSide, SealedTest
from residency.results.stored_figures import read_figures
from residency.secrets import mask_values
from residency.stats.labelled_rate import LabelledRate
from residency.store.record_kind import RecordKind
from residency.store.stage_key import FinishedStage, StageKey, StageName
from residency.store.store import Store
from residency.text.counts import write_count


class RunResults:
    """A run's stored rows, joined.

    Args:
        store: the project's store.
        run: the run; the one that was worked on last when empty.

    Raises:
        StoreError: nothing was run yet.
    """

    def __init__(self, store: Store, run: str = "") -> None:
        latest = run or store.latest_run()
        if not latest:
            raise NotRunError("nothing was run here yet", next_step="residency run")
        self.store = store
        self.run = latest
        self.opened = store.run(latest)
        self.answers = JudgedAnswers(store, latest, lambda: self.reduce)

    # --- stages ---------------------------------------------------------------------------

    @cached_property
    def stages(self) -> list[FinishedStage]:
        """Finished stages, in the order in which they ended."""
        return self.store.stages(self.run)

    def stage_result(self, key: StageKey) -> Any:
        """A finished stage's result, or None."""
        body = self.store.stage(self.run, key)
        return body.get("result", body) if isinstance(body, dict) else body

    def keys_of(self, name: StageName) -> list[StageKey]:
        """Finished stages of one name."""
        return [stage.key for stage in self.stages if stage.key.name == name]

    def results_of_rounds(self, name: StageName) -> dict[int, Any]:
        """Results of a stage that every round has, by round."""
        keys = sorted(self.keys_of(name), key=lambda key: key.round)
        return {key.round: self.stage_result(key) for key in keys}

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.keys_of(StageName.COMPLETE))

    @property
    def stopped(self) -> str:
        """Why the rounds ended; empty while they go on."""
        keys = self.keys_of(StageName.STOP)
        return str(self.stage_result(keys[-1])) if keys else ""

    # --- what it was made of --------------------------------------------------------------

    @cached_property
    def data(self) -> RunData:
        """Row counts, notes of the data checks, base model and settings."""
        return RunData.read(self.stage_result(StageKey(StageName.DATA)) or {})

    @property
    def settings(self) -> dict[str, Any]:
        """The project's settings as they were when the run was opened."""
        settings: dict[str, Any] = self.data.settings or self.opened.get("settings") or {}
        masked: dict[str, Any] = mask_values(
            settings
        )  # runs of earlier versions stored addresses whole
        return masked

    @property
    def reduce(self) -> str:
        """How several samples of an item become one outcome."""
        return str(self.settings.get("evaluate", {}).get("reduce", "majority"))

    @property
    def oversampled(self) -> Mapping[str, int]:
        """``data.oversample_dev`` of the run."""
        return dict(self.settings.get("data", {}).get("oversample_dev", {}))

    @cached_property
    def sensitivity(self) -> Sensitivity | None:
        """What the run's score passes and fails of right and wrong answers; None where no dev item
        has a reference, and for runs of earlier versions."""
        body = self.stage_result(StageKey(StageName.SENSITIVITY))
        return read_sensitivity(body) if body else None

    # --- the sealed test ------------------------------------------------------------------

    @cached_property
    def test(self) -> SealedTest | None:
        """The sealed test's figures, once it was opened."""
        keys = self.keys_of(StageName.TEST)
        return SealedTest.read(self.stage_result(keys[-1])) if keys else None

    @cached_property
    def test_sides(self) -> list[tuple[str, SealedSide]]:
        """Models of the sealed test with their figures, in the order of the rounds."""
        order = {model.id: number for number, model in enumerate(self.models)}
        sides = self.test.sides.items() if self.test else ()
        return sorted(sides, key=lambda side: order.get(side[0], len(order)))

    @cached_property
    def test_openings(self) -> int:
        """How often the sealed test was opened, in every run of the project."""
        return len(self.store.records(RecordKind.TEST_OPENED))

    @property
    def test_seconds(self) -> float:
        """Wall time of the sealed test."""
        return sum(stage.seconds for stage in self.stages if stage.key.name == StageName.TEST)

    @cached_property
    def forgetting(self) -> Forgetting | None:
        """Base against final on the guard's benchmarks, where some are named."""
        body = self.stage_result(StageKey(StageName.FORGETTING))
        return Forgetting.read(body) if body else None

    # --- models ---------------------------------------------------------------------------

    @cached_property
    def models(self) -> list[ModelResult]:
        """Every model that answered dev, in the order of the rounds."""
        return [
            ModelResult(
                round=round_,
                label=figures["label"],
                scores=ScoresFigures.read(figures["scores"]),
                model=self.store.model(round_.model),
                training=self._training(round_.model),
            )
            for round_, figures in self.store.rounds(self.run)
        ]

    @property
    def leading_figures(self) -> list[LeadingFigures]:
        """What each of ``models`` is compared by."""
        return choose_leading_figures([model.scores for model in self.models])

    def _training(self, model: str) -> Training | None:
        records = self.store.records(RecordKind.TRAINING, model)
        return read_figures(Training, records[-1]) if records else None

    def loss_curve(self, model: ModelResult) -> list[dict[str, Any]]:
        """A training's figures, step by step."""
        return self.store.metrics(model.training.training) if model.training else []

    def model_result(self, model: str) -> ModelResult | None:
        """The figures of a model by id."""
        return next((result for result in self.models if result.id == model), None)

    @cached_property
    def final_id(self) -> str:
        """The model that the sealed test judged; before that, the last one of the main arm."""
        if self.test:
            return self.test.final
        mains = [model for model in self.models if model.arm == "main"]
        return mains[-1].id if mains else ""

    def label(self, model: str) -> str:
        """How a model is called in tables."""
        result = self.model_result(model)
        return result.label if result else model

    @cached_property
    def kinds(self) -> list[str]:
        """Kinds of failure that were looked for, the common ones first."""
        return sorted({k for model in self.models for k in model.scores.kinds}, key=kind_order)

    @cached_property
    def datasets(self) -> dict[str, DatasetVersion]:
        """Dataset versions of the run's models, by id."""
        ids = [result.model.dataset for result in self.models if result.model.dataset]
        return {key: self.store.dataset(key) for key in dict.fromkeys(ids)}

    # --- issues ---------------------------------------------------------------------------

    @cached_property
    def issues(self) -> list[IssueResult]:
        """Every issue, oldest round first, the worst first within a round."""
        expected = self.stage_result(StageKey(StageName.EXPECTATIONS)) or []
        return join_issues(
            self.store.issues(self.run),
            order=[i for ids in self.results_of_rounds(StageName.ISSUES).values() for i in ids],
            verdicts=self.store.verdicts(self.run),
            expected=[read_figures(Expectation, row) for row in expected],
            arms=self.arms,
            drawn=self.store.count_drawn(self.run),
            final=self.test.final if self.test else "",
            noise=self.noise,
            labelled=self.labelled,
        )

    @cached_property
    def labelled(self) -> dict[str, LabelledRate]:
        """The final model's rates on dev corrected by people's labels, by issue; only where there are
        enough."""
        if not has_labels(self.store, self.final_id):
            return {}
        examples = self.answers.examples(list(self.answers.positions("dev")))
        return correct_rates(
            self.store,
            self.answers,
            self.store.issues(self.run),
            self.final_id,
            find_measuring(self.store, self.settings, examples),
            examples,
        )

    def issue(self, prefix: str) -> IssueResult:
        """One issue by id or the beginning of its id.

        Raises:
            StoreError: none or several begin so.
        """
        fitting = [result for result in self.issues if id_begins(result.issue.id, prefix)]
        if len(fitting) != 1:
            raise StoreError(
                f"{write_count(len(fitting), 'issue begins', 'issues begin')} with {prefix!r}",
                next_step="residency status lists the issues",
            )
        return fitting[0]

    @cached_property
    def arms(self) -> dict[int, list[IssueArms]]:
        """Targeted against random rows, issue by issue, by round."""
        rounds = self.results_of_rounds(StageName.ARMS)
        return {n: [read_figures(IssueArms, row) for row in rows] for n, rows in rounds.items()}

    @cached_property
    def arms_together(self) -> dict[int, ArmsTogether]:
        """The same over all issues that drew rows, by round."""
        rounds: Mapping[int, Any] = self.results_of_rounds(StageName.OVERALL)
        together = {n: read_figures(ArmsTogether, body) for n, body in rounds.items() if body}
        if self.arms_tested is None:
            return together
        return {n: dataclasses.replace(row, data=DEV_IS_A_GUIDE) for n, row in together.items()}

    @cached_property
    def arms_tested(self) -> ArmsTested | None:
        """The arms on the sealed test."""
        body = self.stage_result(StageKey(StageName.ARMS_TESTED))
        return read_arms_tested(body) if body else None

    @cached_property
    def arms_plan(self) -> ArmsPlan | None:
        """How many trainings each arm got, fixed before they were trained."""
        body = self.stage_result(StageKey(StageName.ARMS_PLAN))
        return read_figures(ArmsPlan, body) if body else None

    @cached_property
    def noise(self) -> dict[str, NoiseFloor]:
        """How far two trainings differ, by issue, where there were several."""
        body = self.stage_result(StageKey(StageName.ARMS_TRAINED))
        return read_noise(body) if body else {}

    @cached_property
    def falls(self) -> dict[str, Falls]:
        """Falls on dev against falls on the sealed test, by issue."""
        rows = self.stage_result(StageKey(StageName.FALLS)) or []
        return {row["issue"]: read_figures(Falls, row) for row in rows}

    @cached_property
    def alpha_share(self) -> AlphaShare:
        """What this run may spend of the project's α."""
        whole = float(self.settings.get("diagnose", {}).get("alpha", 0.05))
        shares = self.store.records(RecordKind.ALPHA_TAKEN)
        shares_of_run = [record for record in shares if record["run"] == self.run]
        if not shares_of_run:  # by a version without a ledger
            return AlphaShare(1, whole, whole, whole)
        spent = sum(
            record["alpha"] for record in shares if record["number"] <= shares_of_run[0]["number"]
        )
        return AlphaShare(
            shares_of_run[0]["number"], shares_of_run[0]["alpha"], shares_of_run[0]["whole"], spent
        )
