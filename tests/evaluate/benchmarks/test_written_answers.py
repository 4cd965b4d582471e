"""Tasks whose answers are written, and perplexities of whole texts, against lm-evaluation-harness."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infer_models import engine, folder
from residency.errors import SuiteError
from residency.evaluate.benchmarks.answer_filters import read_filter_lines
from residency.evaluate.benchmarks.compare_results import compare_results
from residency.evaluate.benchmarks.generation import ExactMatch
from residency.evaluate.benchmarks.load_rows import LocalSplits
from residency.evaluate.benchmarks.run_tasks import BenchResult, run_tasks, write_requests
from residency.evaluate.benchmarks.task_files import read_task_file
from residency.evaluate.benchmarks.task_registry import find_tasks
from residency.infer.local_engine import LocalEngine

pytest.importorskip("lm_eval", reason="lm-eval is not installed")
THINGS = ["kettle", "lamp", "radio", "wing", "fish", "order", "answer", "animal"]
MOST_TOKENS = 20


def make_row(i: int) -> dict[str, Any]:
    """Columns of many tasks at once, all of our own words."""
    a, b = THINGS[i % 8], THINGS[(3 * i + 1) % 8]
    question = f"Ann has {i + 2} {a}s and gets {2 * i + 1} more. How many {a}s has she now?"
    return {
        "question": question,
        "answer": f"She had {i + 2} and got {2 * i + 1}.\n#### {3 * i + 3}",
        "solution": f"She has {3 * i + 3}.\n#### {3 * i + 3}",
        "answer_number": 3 * i + 3,
        "passage": f"Ann took the {a} to the hall. Bob left the {b} there. ",
        "context": f"Put the letters in order: {''.join(reversed(a))} is",
        "completion": a,
        "input": f"not ( True and {'True' if i % 2 else 'False'} ) is",
        "target": "True" if i % 2 else "False",
        "inputs": f"How many things are a {a}, a {b} and a hat?\n",
        "targets": ["3", "three"],
        "content": f"The {a} is old. Which is old? A) {b} B) {a}",
        "ideal": "B",
        "body": f"There is a {a}.",
        "text": f"My {a} broke on monday, and i want a new {b}. " * (1 + 5 * (i % 4)),
    }


def alias_row(i: int) -> dict[str, Any]:
    names = {"aliases": [THINGS[i % 8], THINGS[i % 8].upper(), str(i)]}
    return {"answer": names if i else {"aliases": ["one"]}}


TASKS: dict[str, Any] = {
    "gsm8k/gsm8k.yaml": {},
    "gsm8k/gsm8k-cot.yaml": {},
    "gsm8k/gsm8k-cot-zeroshot.yaml": {},
    "gsm_plus/gsm_plus.yaml": {},
    "babi/babi.yaml": {"answer": "hall"},
    "nq_open/nq_open.yaml": lambda i: {"answer": [THINGS[i % 8], "lamp"]},
    "triviaqa/default.yaml": alias_row,
    "unscramble/anagrams1.yaml": {},
    "bbh/cot_fewshot/boolean_expressions.yaml": {},
    "mgsm/direct/mgsm_direct_en.yaml": {},
    "bigbench/generate_until/object_counting.yaml": {},
    "logiqa2/logieval.yaml": {},
    "asdiv/default.yaml": {"answer": "3 (lamps)"},
    "pile_10k/pile_10k.yaml": {},
}
"""Task files of the harness: written answers, one continuation, and whole texts."""


class PlainLoader(yaml.SafeLoader):
    """The harness's file without its functions."""


PlainLoader.add_constructor("!function", lambda loader, node: None)


def read_settings(path: Path) -> dict[str, Any]:
    raw = yaml.load(path.read_text(encoding="utf-8"), PlainLoader)
    include = raw.get("include")
    return {**(read_settings(path.parent / include) if include else {}), **raw}


def write_tasks(target: Path) -> dict[str, Path]:
    """Each of the harness's files, included whole, over local rows, with short answers."""
    import lm_eval

    home = Path(str(lm_eval.__file__)).parent / "tasks"
    written = {}
    for file, own in TASKS.items():
        name = "written_" + file.replace("/", "_").replace("-", "_").removesuffix(".yaml")
        files = {}
        for split, (start, count) in {"train": (0, 9), "test": (20, 4)}.items():
            rows = [
                make_row(i) | (own(i) if callable(own) else own)
                for i in range(start, start + count)
            ]
            path = target / f"{name}_{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            files[split] = str(path)
        body: dict[str, Any] = {
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
        settings = read_settings(home / file)
        if settings["output_type"] == "generate_until":
            how = settings.get("generation_kwargs") or {}
            body["generation_kwargs"] = {**how, "max_gen_toks": MOST_TOKENS}
        written[name] = target / f"{name}.yaml"
        written[name].write_text(json.dumps(body))  # JSON is YAML
    return written


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    return engine(folder(tmp_path_factory.mktemp("written"), "llama"))


@pytest.mark.filterwarnings("ignore")  # the harness's own imports warn
@pytest.mark.parametrize("shots", [0, 2])
def test_written_answers_and_whole_texts_are_the_harness_s(
    shots: int, local: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    files = write_tasks(tmp_path)
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    theirs = simple_evaluate(
        model=HFLM(pretrained=local.model, tokenizer=local.tokenizer, device="cpu", batch_size=4),
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
    assert BenchResult.from_dict(json.loads(json.dumps(ours.to_dict()))).metrics == ours.metrics
    for task in tasks:
        items = [item for item in ours.items if item.task == task.name]
        asked = write_requests(task, splits, shots=shots)
        lines = task.generation.lines if task.generation else read_filter_lines(None, "")
        assert len(items) == 4
        for line in lines:
            samples = [s for s in theirs["samples"][task.name] if s["filter"] == line.name]
            samples.sort(key=lambda sample: sample["doc_id"])
            for sample, item, context, row in zip(
                samples, items, asked.contexts, asked.rows, strict=True
            ):
                assert context == sample["arguments"][0][0], task.name
                if task.generation:
                    assert item.answer == sample["resps"][0][0], task.name
                    assert line.read_answer(item.answer, row) == sample["filtered_resps"][0]
                elif task.kind == "rolling":
                    assert item.logprobs[0] == pytest.approx(sample["filtered_resps"][0], abs=2e-3)
                else:
                    assert item.logprobs[0] == pytest.approx(
                        sample["filtered_resps"][0][0], abs=1e-4
                    )
        for name, metric in ours.metrics[task.name].items():
            key = name if "," in name else f"{name},none"
            value = theirs["results"][task.name][key]
            assert metric.value == pytest.approx(float(value), rel=1e-4), (task.name, name)
    answers = [item.answer for item in ours.items if item.answer]
    assert len(set(answers)) > 10


PIECES = [*"AB ab12.,$#()-\n:é漢", "answer is ", "#### ", "(A)"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
LINES = [
    {"function": "regex"},
    {"function": "regex", "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "group_select": -1},
    {"function": "regex", "regex_pattern": "(?<=answer is )(.*)(?=.)", "fallback": "none"},
    {"function": "remove_whitespace"},
    {"function": "lowercase"},
    {"function": "uppercase"},
    {
        "function": "multi_choice_regex",
        "regex_pattern": r"(\([A-Z]\))",
        "ignore_case": True,
        "ignore_punctuation": True,
    },
]


@given(TEXTS, st.sampled_from(LINES), st.lists(TEXTS, min_size=1, max_size=3))
def test_filters_give_what_the_harness_s_give(
    text: str, raw: dict[str, Any], choices: list[str]
) -> None:
    from lm_eval.filters import build_filter_ensemble

    row = {"choices": choices}
    (line,) = read_filter_lines([{"name": "x", "filter": [raw, {"function": "take_first"}]}], "")
    settings = {key: value for key, value in raw.items() if key != "function"}
    (filter_class,) = (
        part.func if hasattr(part, "func") else part
        for part in build_filter_ensemble("x", [[raw["function"], settings]]).filters
    )
    theirs = next(iter(filter_class(**settings).apply([[text]], [row])))[0]
    assert line.read_answer(text, row) == theirs


@given(
    TEXTS,
    TEXTS,
    st.fixed_dictionaries(
        {
            "ignore_case": st.booleans(),
            "ignore_punctuation": st.booleans(),
            "ignore_numbers": st.booleans(),
            "regexes_to_ignore": st.sampled_from([(), (",", r"\$", r"(?s).*#### ", r"\.$")]),
        }
    ),
)
def test_exact_match_is_the_harness_s(answer: str, target: str, settings: dict[str, Any]) -> None:
    from lm_eval.api.metrics import exact_match_hf_evaluate

    theirs = exact_match_hf_evaluate(
        predictions=[answer],
        references=[target],
        **{**settings, "regexes_to_ignore": settings["regexes_to_ignore"] or None},
    )["exact_match"]
    assert ExactMatch(**settings).is_right(answer, [target]) == bool(theirs)


TASK = """
task: sums
output_type: generate_until
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], do_sample: false}
metric_list: [{metric: exact_match}]
"""


def write_task(folder: Path, text: str = TASK, rows: Sequence[dict[str, Any]] = ()) -> Path:
    lines = [json.dumps(row) for row in rows or [{"question": "1 + 1 =", "answer": "2"}]]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "sums.yaml").write_text(text, encoding="utf-8")
    return folder / "sums.yaml"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("do_sample: false", "do_sample: true"), "at random"),
        (("do_sample: false", "num_beams: 4"), "num_beams"),
        (("do_sample: false", "max_gen_toks: 0"), "number of tokens"),
        (("metric: exact_match", "metric: bleu"), "bleu"),
        (("metric: exact_match", "metric: exact_match, ignore_vowels: true"), "ignore_vowels"),
        (("metric: exact_match", 'metric: exact_match, regexes_to_ignore: ["("]'), "no pattern"),
        (("test_split: test", "test_split: test\nfilter_list: [{name: a}]"), "filter_list"),
        (
            (
                "test_split: test",
                "test_split: test\nfilter_list: [{name: a, filter: [{function: format_span}]}]",
            ),
            "format_span",
        ),
        (("doc_to_target:", "process_results: !function a.b\ndoc_to_target:"), "not run"),
    ],
)
def test_what_is_not_read_is_refused_by_name(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    with pytest.raises(SuiteError, match=says):
        read_task_file(write_task(tmp_path, TASK.replace(*change)))


def test_a_function_of_an_included_file_may_be_given_another_value(tmp_path: Path) -> None:
    write_task(tmp_path, TASK + "process_results: !function a.b\n")
    path = tmp_path / "mine.yaml"
    path.write_text("include: sums.yaml\nprocess_results: null\n", encoding="utf-8")
    assert read_task_file(path).kind == "generation"


class Writer:
    """Writes given answers and finds given texts likely."""

    def __init__(self, answers: Sequence[str] = (), sums: Sequence[float] = ()) -> None:
        self.answers, self.sums = list(answers), list(sums)

    def score(self, requests: Any, **_: Any) -> list[Any]:
        assert not requests
        return []

    def complete(self, requests: Any, **_: Any) -> list[str]:
        assert len(requests) == len(self.answers)
        return self.answers

    def score_texts(self, texts: Any, **_: Any) -> list[float]:
        assert len(texts) == len(self.sums)
        return self.sums


def test_right_answers_count_and_differences_are_paired(tmp_path: Path) -> None:
    text = TASK + (
        "filter_list: [{name: strict, filter: [{function: regex}]},"
        " {name: loose, filter: [{function: regex, regex_pattern: '[0-9]+', group_select: -1}]}]\n"
    )
    rows = [{"question": f"{i} + 1 =", "answer": str(i + 1)} for i in range(40)]
    task = read_task_file(write_task(tmp_path, text, rows))
    splits = LocalSplits(tmp_path)
    right = [f"it is #### {i + 1}" for i in range(40)]
    loose = [f"first 7, then {i + 1}" for i in range(40)]
    before = run_tasks([task], splits, Writer(right))
    after = run_tasks([task], splits, Writer(loose))
    assert before.metrics["sums"]["exact_match,strict"].value == 1
    assert after.metrics["sums"]["exact_match,strict"].value == 0
    assert after.metrics["sums"]["exact_match,loose"].value == 1
    status = {d.metric: (d.broken, d.status) for d in compare_results(before, after)}
    assert status["exact_match,strict"] == (40, "forgotten")
    assert status["exact_match,loose"][0] == 0


def test_perplexities_are_compared_by_what_a_word_or_byte_loses(tmp_path: Path) -> None:
    text = TASK.replace("generate_until", "loglikelihood_rolling").replace(
        "metric_list: [{metric: exact_match}]", ""
    )
    draw = random.Random(3)
    rows = [{"question": "", "answer": "word " * draw.randint(5, 20)} for _ in range(30)]
    task = read_task_file(write_task(tmp_path, text, rows))
    splits = LocalSplits(tmp_path)
    sums = [-2.0 * len(row["answer"]) for row in rows]
    before = run_tasks([task], splits, Writer(sums=sums))
    for factor, status in ((1.1, "forgotten"), (1.0, "kept"), (0.9, "improved")):
        worse = [value * factor + draw.gauss(0, 0.01) for value in sums]
        after = run_tasks([task], splits, Writer(sums=worse))
        found = {d.metric: d for d in compare_results(before, after)}
        assert set(found) == {"word_perplexity", "byte_perplexity", "bits_per_byte"}
        assert {d.status for d in found.values()} == {status}, factor
        change = found["byte_perplexity"]
        assert change.delta == pytest.approx(2.0 * (1 - factor), abs=0.01)
        assert found["bits_per_byte"].delta == pytest.approx(change.delta / 0.6931, rel=1e-3)


def test_an_answer_ends_before_its_stop_text_and_a_long_question_is_cut(
    local: LocalEngine,
) -> None:
    from residency.interfaces import TextRequest

    long = "a wing of the kettle and a lamp " * 60
    whole = local.complete([TextRequest(long, (), 12), TextRequest("the kettle", (), 12)])
    stop = whole[1][4:6]
    cut = local.complete([TextRequest("the kettle", (stop,), 12), TextRequest(long, (), 12)])
    assert cut[0] == whole[1].split(stop)[0]
    assert cut[1] == whole[0]
    with pytest.raises(SuiteError, match="no room"):
        local.complete([replace(TextRequest("x"), max_tokens=local.context)])
    assert local.score_texts(["", "the kettle"])[0] == 0.0
