"""Tasks as data: lm-evaluation-harness's own task files on rows of ours, against the harness itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infer_models import engine, folder
from residency.errors import SuiteError
from residency.evaluate.benchmarks.load_rows import LocalSplits
from residency.evaluate.benchmarks.run_tasks import run_tasks, write_requests
from residency.evaluate.benchmarks.task_files import read_task_file
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.infer.local_engine import LocalEngine
from residency.plugins import register_plugin

pytestmark = pytest.mark.slow

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "while",
    "rain",
    "fell",
    "over",
    "old",
    "hills",
    "and",
    "boats",
    "drifted",
    "home",
]


def phrase(number: int, length: int = 6) -> str:
    return " ".join(WORDS[(number * 5 + step * 3) % len(WORDS)] for step in range(length))


def make_row(i: int, **own: Any) -> dict[str, Any]:
    """Columns of many benchmarks at once; ``own`` are those that mean something else in one."""
    texts = [phrase(i + k, 2 + k) for k in range(4)]
    names = [
        "goal",
        "sol1",
        "sol2",
        "support",
        "distractor1",
        "distractor2",
        "distractor3",
        "correct_answer",
        "question_stem",
        "text",
        "passage",
        "question",
        "paragraph",
        "sentence",
        "sentence1",
        "sentence2",
        "startphrase",
        "qtext",
        "context",
        "answerA",
        "answerB",
        "answerC",
        "document_str",
        "question_str",
        "query",
        "input",
        "scenario",
        "excuse",
        "trait",
        "premise",
        "hypothesis",
        "input_sentence_1",
        "input_sentence_2",
        "input_sentence_3",
        "input_sentence_4",
        "sentence_quiz1",
        "sentence_quiz2",
        "ending0",
        "ending1",
        "ending2",
        "ending3",
    ]
    row: dict[str, Any] = {name: phrase(i + k, 3 + k % 4) for k, name in enumerate(names)}
    row |= {
        "label": i % 2,
        "choices": {"text": texts, "label": ["A", "B", "C", "D"]},
        "answerKey": "ABCD"[i % 4],
        "answers": [{"atext": text, "aid": k + 1} for k, text in enumerate(texts)],
        "ra": 1 + i % 4,
        "answer": phrase(i, 2),
        "answer_right_ending": 1 + i % 2,
        "answer_options": {"answer_id": ["1", "2", "3", "4"], "answer_str": texts},
        "correct_answer_id": str(1 + i % 4),
    }
    return row | own


def index(i: int) -> dict[str, Any]:
    return {"choices": [phrase(i + k, 2) for k in range(4)], "answer": i % 4}


TASKS: dict[str, Any] = {
    "piqa/piqa.yaml": {},
    "sciq/sciq.yaml": {},
    "openbookqa/openbookqa.yaml": {},
    "lambada/lambada_openai.yaml": {},
    "lambada_cloze/lambada_openai_cloze.yaml": {},
    "super_glue/boolq/default.yaml": {},
    "super_glue/multirc/default.yaml": {},
    "glue/qnli/default.yaml": {},
    "glue/rte/default.yaml": {},
    "glue/sst2/default.yaml": {},
    "swag/swag.yaml": {},
    "headqa/headqa_en.yaml": {},
    "wmdp/wmdp_bio.yaml": index,
    "commonsense_qa/default.yaml": lambda i: {
        "choices": {"text": [phrase(i + k, 1) for k in range(5)], "label": list("ABCDE")},
        "answerKey": "ABCDE"[i % 5],
    },
    "siqa/siqa.yaml": lambda i: {"label": str(1 + i % 3)},
    "storycloze/storycloze_2016.yaml": {},
    "qa4mre/qa4mre_2011.yaml": {},
    "haerae/haerae_gk.yaml": lambda i: {"answer": f"({'ABCDE'[i % 5]})"},
    "hendrycks_ethics/commonsense.yaml": {},
    "hendrycks_ethics/deontology.yaml": {},
    "hendrycks_ethics/justice.yaml": {},
    "hendrycks_ethics/virtue.yaml": {},
    "anli/anli_r1.yaml": lambda i: {"label": i % 3},
    "arc/arc_challenge.yaml": {},
    "paws-x/paws_ja.yaml": {},
    "paws-x/paws_ko.yaml": {},
    "paws-x/paws_zh.yaml": {},
    "xnli/xnli_ar.yaml": lambda i: {"label": i % 3},
    "xnli/xnli_de.yaml": lambda i: {"label": i % 3},
    "xnli/xnli_en.yaml": lambda i: {"label": i % 3},
    "xnli/xnli_fr.yaml": lambda i: {"label": i % 3},
}
"""Task files of lm-evaluation-harness, and what their rows hold otherwise than ``make_row``."""


def write_tasks(target: Path) -> dict[str, Path]:
    """Each of the harness's files, included whole, over local rows: task name → our file."""
    lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    home = Path(lm_eval.__file__).parent / "tasks"
    written = {}
    for file, own in TASKS.items():
        name = "local_" + Path(file).parent.name.replace("-", "_") + "_" + Path(file).stem
        files = {}
        for split, (start, count) in {"train": (0, 9), "test": (20, 4)}.items():
            rows = [
                make_row(i, **(own(i) if callable(own) else own))
                for i in range(start, start + count)
            ]
            path = target / f"{name}_{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            files[split] = str(path)
        body = {
            "include": str(home / file),
            "task": name,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": files},
            "training_split": "train",
            "validation_split": None,
            "test_split": "test",
            "fewshot_split": None,
            "tag": None,
        }
        written[name] = target / f"{name}.yaml"
        written[name].write_text(json.dumps(body))  # JSON is YAML
    return written


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    return engine(folder(tmp_path_factory.mktemp("tasks"), "llama"))


@pytest.mark.filterwarnings("ignore")  # the harness's own imports warn
@pytest.mark.parametrize("shots", [0, 2])
def test_thirty_task_files_of_the_harness_give_its_figures(
    shots: int, local: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    files = write_tasks(tmp_path)
    assert len(files) >= 30
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    theirs = simple_evaluate(
        model=HFLM(pretrained=local.model, tokenizer=local.tokenizer, device="cpu", batch_size=8),
        tasks=list(files),
        num_fewshot=shots,
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
        verbosity="ERROR",
    )
    tasks = find_tasks([str(path) for path in files.values()])
    splits = LocalSplits(tmp_path)
    ours = run_tasks(tasks, splits, local, shots=shots)
    for task in tasks:
        samples = sorted(theirs["samples"][task.name], key=lambda sample: sample["doc_id"])
        items = [item for item in ours.items if item.task == task.name]
        requests = write_requests(task, splits, shots=shots).requests
        assert len(samples) == len(items) == 4
        for sample, item, request in zip(samples, items, requests, strict=True):
            wanted = [tuple(pair) for pair in sample["arguments"]]
            assert [(c.context, c.continuation) for c in request] == wanted, task.name
            replies = sample["filtered_resps"]
            sums = [pair[0] for pair in replies]
            assert list(item.logprobs) == pytest.approx(sums, abs=1e-4), task.name
        for name, metric in ours.metrics[task.name].items():
            value = theirs["results"][task.name][f"{name},none"]
            assert metric.value == pytest.approx(float(value), rel=1e-4), (task.name, name)


TOML = """
task = "colours"
output_type = "multiple_choice"
dataset_path = "json"
dataset_kwargs = {data_files = {test = "rows.jsonl"}}
test_split = "test"
doc_to_text = "The {{thing}} is"
doc_to_choice = ["red", "blue"]
doc_to_target = "colour"
metric_list = [{metric = "acc"}]
"""


LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 14)
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.yaml", LAUGHS),  # 9^13 values in 14 lines
        ("t.yaml", "a: &a [*a]\n"),
        ("t.yaml", "&a {b: *a}\n"),
        ("t.yaml", "a: " + "[" * 3000),
        ("t.toml", "a = " + "[" * 3000),
        ("t.yaml", "a: " + "9" * 6000),
        ("t.toml", "a = " + "9" * 6000),
        ("t.yaml", "a: 9999-99-99"),
        ("t.yaml", "a: \0"),
        ("t.yaml", "? {x: 1}\n: 2"),
        ("t.yaml", "a: !!python/object/apply:os.system [id]"),
    ],
)
def test_a_file_without_end_or_measure_is_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SuiteError, match=r"cannot be read|is not|expected|names? "):
        read_task_file(tmp_path / name)


def write_toml(folder: Path, text: str = TOML, colour: str = "blue") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text(json.dumps({"thing": "sky", "colour": colour}) + "\n")
    (folder / "colours.toml").write_text(text)
    return folder / "colours.toml"


def test_a_task_may_be_a_toml_file(tmp_path: Path, local: LocalEngine) -> None:
    write_toml(tmp_path)
    (task,) = find_tasks(["colours.toml"], folder=tmp_path)
    asked = write_requests(task, LocalSplits(tmp_path), shots=0)
    assert [(c.context, c.continuation) for c in asked.requests[0]] == [
        ("The sky is", " red"),
        ("The sky is", " blue"),
    ]
    result = run_tasks([task], LocalSplits(tmp_path), local, shots=0)
    assert result.items[0].gold == 1
    assert set(result.metrics["colours"]) == {"acc"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('output_type = "multiple_choice"', 'output_type = "greedy_until"'), "output_type"),
        (('output_type = "multiple_choice"', 'output_type = "generate_until"'), "'acc'"),
        (('metric = "acc"', 'metric = "bleu"'), "bleu"),
        (("test_split", "process_docs"), "process_docs"),
        (('"rows.jsonl"', '"none.jsonl"'), "no such file"),
        (('doc_to_target = "colour"', ""), "doc_to_target"),
        (("task =", "task :"), "cannot be read"),
    ],
)
def test_a_task_file_that_cannot_be_used_says_why(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    path = write_toml(tmp_path, TOML.replace(*change))
    with pytest.raises(SuiteError, match=says):
        read_task_file(path)


def test_a_row_that_does_not_fit_is_named_and_templates_run_no_code(tmp_path: Path) -> None:
    path = write_toml(tmp_path, colour="green")
    with pytest.raises(SuiteError, match=r"rows\.jsonl row 1"):
        write_requests(read_task_file(path), LocalSplits(tmp_path), shots=0)
    evil = TOML.replace("{{thing}}", "{{ ''.__class__.__mro__[1].__subclasses__() }}")
    path = write_toml(tmp_path / "evil", evil)
    with pytest.raises(SuiteError):
        write_requests(read_task_file(path), LocalSplits(tmp_path), shots=0)
    code = tmp_path / "code.yaml"
    code.write_text("task: x\nprocess_docs: !function os.system\n")
    with pytest.raises(SuiteError, match=r"os\.system.*not run"):
        read_task_file(code)


def test_a_plugin_adds_a_task(tmp_path: Path) -> None:
    task = read_task_file(write_toml(tmp_path))
    register_plugin("benchmarks", "colours", task)
    try:
        assert find_tasks(["colours"]) == [task]
        register_plugin("benchmarks", "colours", 3)
        with pytest.raises(SuiteError, match="neither a Task"):
            find_tasks(["colours"])
    finally:
        from residency import plugins

        plugins._registered["benchmarks"].pop("colours")
