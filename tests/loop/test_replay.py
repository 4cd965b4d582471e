"""General rows beside those of the task: which, how many, in every arm alike, and what they did."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from finished_run import copy_run
from residency.commands.check import check
from residency.commands.project import Project
from residency.config.settings import Config
from residency.errors import ConfigError
from residency.interfaces import ProgressEvent
from residency.jobs.job_workspace import choose_job_settings
from residency.loop.replay_rows import mix_replay, write_replay_notes
from residency.project.named_models import label_model
from residency.project.workspace import Workspace
from residency.results.conclusion import write_conclusion
from residency.results.number_formats import format_trained_rows
from residency.results.run_results import RunResults
from residency.results.trace import trace_id
from residency.store.stage_key import StageKey, StageName
from residency.sweep.sweep_options import SweepOptions
from small import RIVERS, save_model, save_project

WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "inlet",
    "jetty",
    "kiosk",
    "larch",
]
QUESTION = "Does the long river that crosses the wide northern plain reach the cold sea in the end"


class StoppedError(Exception):
    """The process dies here."""


def write_general(root: Path, count: int = 40, *more: dict[str, str]) -> None:
    """General questions in a layout that is not the task's, and whatever else is given."""
    rows = [
        {
            "question": f"Tell me of the {WORDS[n % 12]} and the {WORDS[(n * 5 + 3) % 12]} of year {n}",
            "answer": f"The {WORDS[n % 12]} of year {n} was {WORDS[(n * 7 + 1) % 12]}.",
        }
        for n in range(count)
    ]
    text = "".join(json.dumps(row) + "\n" for row in [*rows, *more])
    (root / "general.jsonl").write_text(text)


def set_up(folder: Path, model: Path, *more: dict[str, str], share: float = 0.2) -> Path:
    root = save_project(folder, model, rounds=2, epochs=1)
    settings = (root / "residency.toml").read_text()
    settings = settings.replace(
        'pool = ["pool.jsonl"]',
        'pool = ["pool.jsonl"]\nreplay = ["general.jsonl"]\ninstruction = "Name it."',
    ).replace("[train]", f"[train]\nreplay = {share}")
    (root / "residency.toml").write_text(settings)
    (root / "rivers.toml").write_text(RIVERS)
    questions = [{"question": QUESTION, "answer": 0}, {"question": "Is it late?", "answer": 1}]
    (root / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    write_general(root, 40, *more)
    return root


def name_guard(root: Path) -> None:
    settings = (root / "residency.toml").read_text()
    (root / "residency.toml").write_text(
        settings.replace("[rounds]", '[rounds]\nguard = ["rivers.toml"]')
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def done(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that died while the training without general rows answered dev, and was taken up again."""
    root = set_up(tmp_path_factory.mktemp("done") / "project", model)
    name_guard(root)

    def die(event: ProgressEvent) -> None:
        if event.stage.startswith("replay: dev"):
            raise StoppedError

    with pytest.raises(StoppedError):
        Project.open(root, progress=die).run()
    Project.open(root).run()
    return root


def open_with(root: Path, share: float) -> Workspace:
    return Project.open(root, overrides={"train.replay": share})


def test_general_rows_are_read_in_their_own_layout_and_without_the_tasks_instruction(
    model: Path, tmp_path: Path
) -> None:
    ws = Project.open(set_up(tmp_path / "project", model))
    row = ws.split("replay")[0]
    assert row.prompt_text.startswith("Tell me of the") and row.reference is not None
    assert {len(ws.split(split)) for split in ("train", "dev", "test")} == {16, 12, 8}
    assert ws.sizes["replay"] == 40


def test_a_system_message_is_folded_where_the_base_has_no_place_for_it(
    model: Path, tmp_path: Path
) -> None:
    root = set_up(tmp_path / "project", model)
    turns = [("system", "Be brief."), ("user", "What is a fjord?"), ("assistant", "A sea inlet.")]
    messages = [{"role": role, "content": text} for role, text in turns]
    (root / "general.jsonl").write_text(json.dumps({"messages": messages}) + "\n")
    roles = {}
    for system in ("keep", "fold"):
        (row,) = Project.open(root, overrides={"data.system": system}).split("replay")
        roles[system] = [message.role for message in row.messages]
        assert "Be brief." in row.prompt_text
    assert roles == {"keep": ["system", "user", "assistant"], "fold": ["user", "assistant"]}


def test_a_share_is_of_all_rows_and_a_larger_one_holds_a_smaller_one(
    model: Path, tmp_path: Path
) -> None:
    root = set_up(tmp_path / "project", model)
    taken = {}
    for share in (0.0, 0.1, 0.2, 0.5, 0.9):
        ws = open_with(root, share)
        train = ws.split("train")
        mixed = mix_replay(ws, train)
        assert mixed[: len(train)] == train
        taken[share] = [row.id for row in mixed[len(train) :]]
        assert mix_replay(ws, train) == mixed and {r.split for r in mixed} == {"train"}
    assert [len(ids) for ids in taken.values()] == [0, 2, 4, 16, 40]  # 40 are all there are
    shares = list(taken)
    for less, more in itertools.pairwise(shares):
        assert taken[more][: len(taken[less])] == taken[less]


def test_general_rows_that_are_too_long_are_passed_over(model: Path, tmp_path: Path) -> None:
    root = set_up(tmp_path / "project", model)
    long = [{"question": f"Tell me all of {n}", "answer": "word " * 400} for n in range(60)]
    write_general(root, 10, *long)
    ws = Project.open(root, overrides={"train.replay": 0.3})
    train = ws.split("train")
    taken = mix_replay(ws, train)[len(train) :]
    assert write_replay_notes(ws) == []
    (note,) = write_replay_notes(open_with(root, 0.5))
    assert note.startswith("10 general rows join the first training, of the 16 ")
    assert len(taken) == 7 and not any(row.prompt_text.startswith("Tell me all") for row in taken)


def test_rows_near_dev_test_or_the_guards_questions_are_not_trained(
    model: Path, tmp_path: Path
) -> None:
    near_guard = {"question": f"{QUESTION} of its way?", "answer": "Yes."}
    root = set_up(tmp_path / "project", model, near_guard, share=0.9)
    dev = json.loads((root / "dev.jsonl").read_text().splitlines()[0])
    write_general(root, 40, near_guard, {"question": dev["input"], "answer": "Red."})

    free = Project.open(root)
    texts = [row.prompt_text for row in mix_replay(free, free.split("train"))]
    assert dev["input"] not in texts and near_guard["question"] in texts
    assert free.bench(["rivers.toml"], models=["base"]).contaminated == {"rivers": 1}
    name_guard(root)
    guarded = Project.open(root)
    texts = [row.prompt_text for row in mix_replay(guarded, guarded.split("train"))]
    assert near_guard["question"] not in texts
    assert guarded.bench(["rivers.toml"], models=["base"]).contaminated == {}
    (note,) = guarded.general_rows.write_notes()
    assert "1 replay row left out" in note and "general.jsonl:41" in note and "rivers" in note
    (leak,) = check(root).report.near_guard  # the data doctor says it before anything is trained
    assert leak.source.endswith("general.jsonl:41") and leak.benchmark == "rivers"
    write_general(root, 40)
    assert check(root).report.near_guard == []


def test_a_project_without_general_rows_keeps_its_run(model: Path, tmp_path: Path) -> None:
    root = save_project(tmp_path / "project", model)
    before = Project.open(root).run_id
    assert open_with(root, 0.1).run_id == before
    assert Project.open(root, overrides={"rounds.replay_control": True}).run_id == before
    write_general(root)
    settings = (root / "residency.toml").read_text()
    named = settings.replace("[data]", '[data]\nreplay = ["general.jsonl"]')
    (root / "residency.toml").write_text(named)
    assert Project.open(root).run_id != before


def test_no_share_of_train_can_be_dealt_out_to_replay() -> None:
    with pytest.raises(ValueError, match="replay"):
        Config.model_validate({"data": {"split": {"train": 0.5, "replay": 0.5}}})
    with pytest.raises(ValueError, match="replay"):
        Config.model_validate({"train": {"replay": 1.0}})


def test_a_guard_that_does_not_exist_is_told_before_anything_is_trained(
    model: Path, tmp_path: Path
) -> None:
    root = set_up(tmp_path / "project", model)
    settings = (root / "residency.toml").read_text()
    (root / "residency.toml").write_text(
        settings.replace("[rounds]", '[rounds]\nguard = ["no_such_task"]')
    )
    with pytest.raises(ConfigError, match="no_such_task"):
        Project.open(root).run()


def test_every_arm_trains_the_same_general_rows(done: Path) -> None:
    results = RunResults(Project.open(done).store)
    store, general = results.store, {row.id for row in Project.open(done).split("replay")}
    trained = {}
    for round_, _ in store.rounds(results.run):
        if round_.dataset:
            rows = store.dataset(round_.dataset).rows
            trained[(round_.index, round_.arm)] = [row for row in rows if row in general]
            task = len(rows) - len(trained[(round_.index, round_.arm)])
            assert len(trained[(round_.index, round_.arm)]) == round(task * 0.2 / 0.8)
    assert trained[(2, "main")] == trained[(2, "control")]
    final = store.model(results.final_id).dataset or ""
    details = trace_id(store, final).details
    count = details["general rows, against forgetting"]
    assert count == sum(row in general for row in store.dataset(final).rows) > 0
    drawn = sum(len(rows) for rows in details["rows for issues"].values())
    assert (
        details["rows from the user's train split"]
        == len(store.dataset(final).rows) - count - drawn
    )
    assert trained[(1, "main")] == trained[(2, "main")][: len(trained[(1, "main")])]


def test_the_guard_says_what_they_did_to_these_two_models(done: Path) -> None:
    results = RunResults(Project.open(done).store)
    assert results.forgetting is not None
    effect = results.forgetting.replay
    assert effect is not None and effect.rows == round(effect.of * 0.2 / 0.8)
    trained = results.model_result(results.final_id)
    assert trained is not None
    assert format_trained_rows(trained.round) == f"{effect.rows + effect.of}, {effect.rows} general"
    store = results.store
    without, final = store.model(effect.model), store.model(results.final_id)
    assert label_model(without) == f"{label_model(final)}, no replay"
    assert without.dataset and final.dataset and without.seed == final.seed
    rows, general = store.dataset(final.dataset).rows, Project.open(done).split("replay")
    task = [row for row in rows if row not in {one.id for one in general}]
    assert list(store.dataset(without.dataset).rows) == task
    assert {one["n"] for one in effect.differences} == {2}
    (sentence,) = [s for s in write_conclusion(results) if s.startswith("Replay: ")]
    assert f"{effect.rows} general rows beside {effect.of}" in sentence
    assert "one training each" in sentence
    stage = store.stage(results.run, StageKey(StageName.FORGETTING))
    assert stage is not None and len(stage["result"]["differences"]) == len(effect.differences)


def test_a_sweep_trains_them_too(model: Path, tmp_path: Path) -> None:
    root = set_up(tmp_path / "project", model)
    for share in (0.0, 0.2):
        project = Project.open(root, overrides={"train.replay": share})
        project.sweep(SweepOptions(shares=(1.0,), seeds=1))
    results = (root / ".residency" / "sweep" / "results").glob("*.json")
    values = [json.loads(path.read_text())["value"] for path in results]
    trained = [value for value in values if value.get("rows")]
    assert [value["rows"] for value in trained] == [16, 16]  # of the task, which is what is varied
    tokens = sorted(value["training"]["tokens"] for value in trained)
    assert tokens[0] < tokens[1]
    assert len({value["model"]["dataset"] for value in trained}) == 2


def test_jobs_of_a_project_without_general_rows_keep_their_names(
    model: Path, tmp_path: Path
) -> None:
    plain = Project.open(save_project(tmp_path / "plain", model))
    assert "replay" not in choose_job_settings(plain)["train"]
    assert "replay" in choose_job_settings(Project.open(set_up(tmp_path / "other", model)))["train"]


def test_the_report_tells_it_and_writes_bits_as_bits(done: Path, tmp_path: Path) -> None:
    root = copy_run(done, tmp_path / "project")
    texts = RIVERS.replace('"rivers"', '"texts"').replace(
        "multiple_choice", "loglikelihood_rolling"
    )
    texts = texts.partition("doc_to_choice")[0].replace("{{question}}", "")
    metric = 'doc_to_target = "{{question}}"\nmetric_list = [{metric = "bits_per_byte"}]\n'
    (root / "texts.toml").write_text(texts + metric)
    project = Project.open(root)
    project.bench(["texts.toml", "rivers.toml"], models=["base", "final"])
    html = project.report().read_text()
    figure = project.bench(["texts.toml"], models=["base"]).models[0].result.metrics["texts"]
    bits = figure["bits_per_byte"].value
    assert bits > 1 and f"{bits:.4g}<small>" in html and f"{100 * bits:.1f}" not in html
    assert "Replay: " in html and "one training each" in html
