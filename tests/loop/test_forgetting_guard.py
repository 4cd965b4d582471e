"""What the guard asked is asked again where its files hold other questions, and nothing else is done again."""

from __future__ import annotations

import json
from pathlib import Path

from finished_run import copy_run
from residency.commands.project import Project
from residency.store.stage_key import StageKey, StageName

TASK = """task = "colours"
output_type = "multiple_choice"
dataset_path = "json"
dataset_kwargs = {data_files = {test = "questions.jsonl"}}
test_split = "test"
doc_to_text = "The {{thing}} is"
doc_to_choice = ["red", "blue"]
doc_to_target = "colour"
metric_list = [{metric = "acc"}]
"""


def write_questions(root: Path, *things: str) -> None:
    rows = [{"thing": thing, "colour": "red"} for thing in things]
    (root / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_changed_file_of_the_guard_is_asked_again(finished_run: Path, tmp_path: Path) -> None:
    root = copy_run(finished_run, tmp_path / "project")
    (root / "colours.toml").write_text(TASK)
    write_questions(root, "cup", "lamp", "door")

    def run() -> tuple[int, dict[str, float]]:
        project = Project.open(root, overrides={"rounds.guard": ["colours.toml"]})
        project.run()
        store = project.store
        body = store.stage(project.run_id, StageKey(StageName.FORGETTING))
        others = {
            str(stage.key): stage.seconds
            for stage in store.stages(project.run_id)
            if stage.key.name not in (StageName.FORGETTING, StageName.COMPLETE)
        }
        store.close()
        assert body is not None
        return body["result"]["differences"][0]["n"], others

    first, stages = run()
    again, same = run()
    assert first == again == 3 and same == stages
    write_questions(root, "cup", "lamp", "door", "roof", "wall")
    more, kept = run()
    assert more == 5 and kept == stages
