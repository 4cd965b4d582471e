"""The plan keeps to the time, takes small sizes often, and says what it left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from residency.config.train import TrainConfig
from residency.errors import ConfigError, DataError, ResidencyError, TrainingError, UserError
from residency.jobs.job import Job
from residency.jobs.loop_jobs import JobOptions
from residency.nouns.example import Example, Message
from residency.sweep.cell import Cell, Variant, choose_rows
from residency.sweep.plan import SweepPlan, VariantCost, plan_sweep
from residency.sweep.read_lists import read_shares
from residency.sweep.sweep_jobs import measure_cost
from residency.sweep.sweep_notes import describe_equal_sizes, describe_failures
from residency.sweep.sweep_options import SweepOptions

COST = VariantCost(
    step_seconds=1.0,
    batch_size=8,
    epochs=3,
    memory=1,
    frozen_seconds=0,
    answer_seconds=0.1,
)


def plan(minutes: float, *, bases: tuple[str, ...] = ("tiny",), **options: Any) -> SweepPlan:
    asked = SweepOptions(bases=bases, minutes=minutes, **options)
    variants = asked.list_variants("tiny", TrainConfig())
    slower = {v.key: VariantCost(**{**vars(COST), "step_seconds": 1.0 + 9 * n}) for n, v in enumerate(variants)}  # fmt: skip
    return plan_sweep(
        variants, slower, asked, train_rows=800, answers=100, shared=20, workers=asked.jobs
    )


@pytest.mark.parametrize("minutes", [7, 11, 15, 30, 55, 200])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_plan_fits_its_time_and_runs_the_cheapest_first(minutes: float, jobs: int) -> None:
    made = plan(minutes, bases=("tiny", "other"), jobs=jobs)
    assert made.seconds <= minutes * 60
    seconds = [cell.seconds for cell in made.cells]
    assert seconds == sorted(seconds)
    assert len(made.cells) + len(made.left_out) == 2 * 4 * 3
    by_cell = {planned.cell.title for planned in made.cells}
    assert len(by_cell) == len(made.cells)


def test_small_sizes_get_every_seed_before_large_ones_get_a_second() -> None:
    made = plan(18)
    repeats = dict.fromkeys(made.sizes, 0)
    for planned in made.cells:
        repeats[planned.cell.rows] += 1
    assert repeats == {96: 3, 200: 3, 400: 1, 800: 1}
    assert {(p.cell.rows, p.cell.repeat) for p in made.left_out} == {
        (rows, repeat) for rows in (400, 800) for repeat in (1, 2)
    }


def test_what_fits_not_even_once_is_refused_with_the_minutes_that_it_takes() -> None:
    with pytest.raises(
        UserError, match="1 minutes are too few: one training at each of 3"
    ) as caught:
        plan(1)
    takes = float(caught.value.what.split("takes ")[1].split()[0])
    assert plan(takes).sizes == [96, 200, 400]  # so many are enough, whatever else would fit before
    with pytest.raises(UserError, match="too few"):
        plan(takes - 0.1)
    assert len(plan(0).left_out) == 0  # 0: no bound


@pytest.mark.parametrize("text", ["12;25", "a", "12,,x"])
def test_sizes_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="no list of numbers"):
        read_shares(text)


def test_options_that_cannot_be_meant_are_refused() -> None:
    assert read_shares("12, 25 %,100") == (0.12, 0.25, 1.0)
    for shares in ((), (0.0,), (1.2,), (-0.1, 1.0)):
        with pytest.raises(UserError, match="per cent"):
            SweepOptions(shares=shares)
    for refusing in (SweepOptions, JobOptions):
        with pytest.raises(UserError, match="one process alone"):
            refusing(jobs=2, artifacts="memory://jobs")
    with pytest.raises(UserError, match="trainings"):
        SweepOptions(seeds=900).list_variants("tiny", TrainConfig())
    with pytest.raises(ConfigError, match="rank"):
        SweepOptions(ranks=(0,)).list_variants("tiny", TrainConfig())
    with pytest.raises(ConfigError, match="layers"):
        SweepOptions(layers=("most",)).list_variants("tiny", TrainConfig())


def test_variants_are_every_base_with_every_setting() -> None:
    options = SweepOptions(bases=("a", "b"), ranks=(4, 8, 4), layers=("top-2", "all"))
    variants = options.list_variants("tiny", TrainConfig())
    assert [v.name for v in variants] == [
        f"{base}, rank {rank}, layers {layers}"
        for base in "ab"
        for rank in (4, 8)
        for layers in ("top-2", "all")
    ]
    assert SweepOptions().list_variants("tiny", TrainConfig()) == [Variant("tiny")]


def test_a_smaller_choice_of_rows_is_part_of_a_larger_one() -> None:
    rows = [
        Example((Message("user", f"{n}"), Message("assistant", "yes")), group=f"g{n // 3}")
        for n in range(60)
    ]
    for seed in range(3):
        chosen = [choose_rows(rows, count, seed) for count in (6, 15, 30, 60)]
        ids = [{row.id for row in some} for some in chosen]
        assert [len(some) for some in chosen] == [6, 15, 30, 60]
        assert ids[0] < ids[1] < ids[2] < ids[3]
        assert [row.id for row in chosen[2]] == [row.id for row in rows if row.id in ids[2]]
        groups = {row.group for row in chosen[1]}
        assert len(groups) == 5  # whole groups: paraphrases come together
    assert choose_rows(rows, 15, 0) != choose_rows(rows, 15, 1)
    assert choose_rows(rows[::-1], 15, 0)[::-1] == choose_rows(rows, 15, 0)


def test_names_of_variants_are_written_as_people_write_numbers() -> None:
    variant = Variant("tiny", {"learning_rate": 30000.0, "rank": 4})
    assert variant.name == "tiny, learning rate 30000, rank 4"
    assert Variant("tiny", {"learning_rate": 2e-5}).name == "tiny, learning rate 2e-05"
    assert Cell(variant, 1, 0.1, 0).title.endswith(": 1 row, seed 1")


def test_the_learning_rate_changes_none_of_the_work() -> None:
    slow, fast = (Variant("tiny", {"learning_rate": rate, "rank": 4}) for rate in (1e-4, 1e-2))
    assert slow.work_key == fast.work_key != Variant("tiny", {"rank": 8}).work_key
    assert slow.key != fast.key


def test_shares_that_are_one_size_and_jobs_that_failed_are_told() -> None:
    assert describe_equal_sizes((0.01, 0.02, 0.5), 16) == ["1, 2 % of 16 rows are one size: 1 row"]
    assert describe_equal_sizes((0.12, 0.25, 0.5, 1.0), 16) == []
    failed = [(Job("f", {"n": n}, title=f"job {n}"), TrainingError("it burst")) for n in range(5)]
    assert describe_failures([], 0) == []
    assert describe_failures(failed, 4) == [
        *(f"failed: job {n}: it burst" for n in range(3)),
        "failed: 2 more",
        "4 trainings are missing by that; the same command tries again",
    ]


@pytest.mark.parametrize("kind", [DataError, ConfigError, TrainingError])
def test_an_error_of_a_probe_keeps_its_kind_and_names_the_variant(
    kind: type[ResidencyError],
) -> None:
    class Jobs:
        def open_variant(self, variant: Variant) -> Any:
            return SimpleNamespace(progress=lambda event: None)

    def fail(ws: Any) -> Any:
        raise kind("it has 64 positions", where="data/train.jsonl:3")

    with pytest.raises(kind) as caught:
        measure_cost(Jobs(), Variant("small", {"rank": 4}), fail)  # type: ignore[arg-type]
    assert caught.value.where == "small, rank 4, data/train.jsonl:3"
    assert caught.value.next_step == "leave it out"
