"""How report, status, pages and store grow with the number of stored answers.

    python benchmarks/scale.py [ANSWERS ...] [--out FILE]

For each size (1 000, 20 000 and 200 000 answers by default) a store is filled as a run fills it:
three models and a control arm on dev, two of them on the sealed test, eighteen checks an answer of
which most pass. Then every command and page is timed in a process of its own: seconds of wall time
and of CPU with all imports, and its largest resident memory. Nothing is generated and no model is opened.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding, Span
from residency.nouns.issue import Issue, Slice
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.nouns.round import Round
from residency.nouns.verdict import Verdict
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store

SIZES = (1_000, 20_000, 200_000)
RUN = "run-scale"
FAILING_KINDS = (
    "misspelling",
    "overlong",
    "repetition",
    "hallucination",
    "wrong:urgency",
    "format",
)
PASSING_KINDS = tuple(f"check:{number}" for number in range(12))
ACTIONS = ("status", "report", "/", "/issues", "/issues/ID", "/items", "/items?kind", "/items/ID")


def fill_store(root: Path, answers: int) -> None:
    """Four models' answers to dev (a fifth of all each) and two models' to test (a tenth each)."""
    rng = random.Random(0)
    root.mkdir(parents=True)
    (root / "residency.toml").write_text('[project]\nname = "scale"\n')
    store = Store(root)
    dev = [make_example("dev", number) for number in range(max(1, answers // 5))]
    test = [make_example("test", number) for number in range(max(1, answers // 10))]
    models = [Model("base", prompting) for prompting in ("zero-shot", "few-shot:4:ab")]
    models += [Model("base", adapter=f"sha256:{n}", round=n) for n in (1, 2)]
    with store.writer("benchmark"):
        store.add_run(RUN, {"settings": {}})
        store.add_record(RecordKind.RUN_OPENED, RUN, {"full": True})
        store.add_corpus(RUN, [*dev, *test])
        for split, examples, several in (("dev", dev, models), ("test", test, models[::3])):
            store.add_record(RecordKind.SCOPE, RUN, {"scope": split})
            for model in several:
                store.add_model(model)
                answer_items(store, split, model, examples, rng)
        for number, arm, model in zip(
            (0, 0, 1, 2), ("zero-shot", "few-shot", "main", "main"), models, strict=True
        ):
            figures = {"label": f"round {number}, {arm}", "scores": make_scores(len(dev))}
            store.add_round(RUN, Round(number, arm, None, model.id, 0, 1.0), figures)
        add_issues(store, models, len(dev))
        store.finish_stage(RUN, StageKey(StageName.DATA), 0.0, {"result": {"rows": {}}})
        store.finish_stage(RUN, StageKey(StageName.COMPLETE), 0.0, {"result": {}})
    store.close()


def make_example(split: Any, number: int) -> Example:
    message = Message(
        "user", f"{split} request {number}: my kettle leaks, order A-{number:06d}. " * 2
    )
    answer = Message("assistant", f"product: kettle\nurgency: high\norder: A-{number:06d}")
    return Example(
        (message, answer), split=split, group=f"{split}-{number}", tags=(f"tag={number % 9}",)
    )


def answer_items(
    store: Store, split: str, model: Model, examples: list[Example], rng: random.Random
) -> None:
    share = 0.3 / (1 + model.round)
    for start in range(0, len(examples), 2000):
        responses, findings = [], []
        for example in examples[start : start + 2000]:
            text = f"product: kettle\nurgency: low\norder: {rng.random()}"
            response = Response(model.id, example.id, text, tuple(range(40)), prompt_tokens=80)
            responses.append(response)
            for kind in FAILING_KINDS:
                failed = rng.random() < share
                spans = (Span(0, 5, "wrong"),) if failed else ()
                status = "fail" if failed else "pass"
                findings.append(Finding(response.id, kind, status, "d", "1", 0.5 * failed, spans))  # type: ignore[arg-type]
            findings += [Finding(response.id, kind, "pass", "suite", "1") for kind in PASSING_KINDS]
        store.add_responses(responses)
        store.add_findings(split, findings)


def make_scores(items: int) -> dict[str, Any]:
    score = {"mean": 0.8, "low": 0.7, "high": 0.9, "floor": 0.8, "items": items}
    score |= {"scored_items": items, "checks": items, "scored_checks": items, "coverage": 1.0}
    rate = {"rate": 0.2, "low": 0.1, "high": 0.3, "failed": items // 5, "scored": items}
    rate |= {"total": items, "coverage": 1.0}
    return {"score": score, "kinds": dict.fromkeys(FAILING_KINDS, rate)}


def add_issues(store: Store, models: list[Model], items: int) -> None:
    slices = [Slice(), Slice("tag", "tag=3")]
    issues = [
        Issue(kind, each, "d", "1", 0.05, 0, models[0].id, f"{kind} in {each.name}")
        for kind in FAILING_KINDS
        for each in slices
    ]
    store.add_issues(RUN, issues)
    verdicts = [
        Verdict(issue.id, models[0].id, models[-1].id, 2, "dev", "improved", items, 0, 0.3, 0.1,
                20, 1, 0.2, 0.1, 0.3, 1e-5, 900.0, 0.01, 0.05)
        for issue in issues
    ]  # fmt: skip
    store.add_verdicts(RUN, verdicts)


def run_action(root: Path, action: str) -> None:
    """One command or page, in this process."""
    from residency.results.run_results import RunResults

    if action in ("status", "report"):
        from residency.cli.invoke import run_command_line

        out = ["--out", str(root / "r.html")] if action == "report" else []
        if run_command_line([action, str(root), *out]):
            raise SystemExit(1)
        return
    from fastapi.testclient import TestClient

    from residency.web.app import create_app

    store = Store(root, create=False)
    issue = RunResults(store).issues[0].issue.id
    item = store.corpus_ids(RUN, "dev")[-1]
    store.close()
    path = {"/issues/ID": f"/issues/{issue}", "/items/ID": f"/items/{item}"}.get(action, action)
    path = path.replace("?kind", "?kind=misspelling&change=fixed")
    answer = TestClient(create_app(root), base_url="http://localhost").get(path)
    if answer.status_code != 200:
        raise SystemExit(answer.text)


def measure(root: Path, action: str) -> dict[str, float]:
    """Seconds (wall and CPU) and largest resident memory (MB) of an action in its own process."""
    start, used = time.perf_counter(), _children_cpu()
    command = [sys.executable, __file__, "--action", action, "--root", str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    memory = float(done.stdout.splitlines()[-1])
    seconds, cpu = time.perf_counter() - start, _children_cpu() - used
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "megabytes": round(memory)}


def _largest_memory() -> float:
    """Largest resident memory of this process in MB (``ru_maxrss`` would count the parent's too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", nargs="*", type=int, default=SIZES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="Where the stores stay, to be measured again.")
    parser.add_argument("--action")
    parser.add_argument("--root", type=Path)
    arguments = parser.parse_args()
    if arguments.action:
        run_action(arguments.root, arguments.action)
        print(_largest_memory())
        return
    table = {}
    for answers in arguments.answers:
        with tempfile.TemporaryDirectory() as folder:
            root = (arguments.keep or Path(folder)) / f"project-{answers}"
            start = time.perf_counter()
            if not root.exists():
                fill_store(root, answers)
            filled = time.perf_counter() - start
            size = (root / ".residency" / "store.db").stat().st_size / 1e6
            row: dict[str, Any] = {"fill_seconds": round(filled, 1), "store_megabytes": round(size)}
            row |= {action: measure(root, action) for action in ACTIONS}
        table[answers] = row
        print(f"{answers} answers: store {size:.0f} MB, filled in {filled:.0f} s")
        for action in ACTIONS:
            print(
                f"  {action:14} {row[action]['seconds']:6.2f} s {row[action]['megabytes']:6.0f} MB"
            )
    if arguments.out:
        arguments.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
