"""A stored run to report on, without any model: answers are made from the references by seeded
corruption, then judged by the product's own statistics."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from residency.config.settings import Config, load_config
from residency.diagnose.compare_arms import compare_arms
from residency.diagnose.dev_halves import halves
from residency.diagnose.find_issues import find_issues
from residency.diagnose.find_issues import outcomes as outcomes_diagnose
from residency.diagnose.verdicts import Comparison, confirm, judge_round
from residency.evaluate.suites.scores import summarise
from residency.examples import copy_example
from residency.examples.tickets.generate import make_rows
from residency.loop.score_change import item_scores, score_change
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example, Message, by_id
from residency.nouns.finding import Finding, Span
from residency.nouns.issue import Slice
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response
from residency.nouns.round import Round
from residency.stats.paired_outcomes import compare_paired
from residency.store.store import Store

EVIL = "<script>alert('pwned')</script>"
FIELDS = ("product", "problem", "urgency", "order", "request", "name")
RUN = "run-0123456789abcdef"


def examples_of(split: str, n: int) -> list[Example]:
    return [
        Example(
            messages=(
                Message("user", row["instruction"], input=row["input"]),
                Message("assistant", row["response"]),
            ),
            split=split,  # type: ignore[arg-type]
            group=row["group"],
            tags=tuple(row["tags"]),
            source=f"data/{split}.jsonl:{place}",
        )
        for place, row in enumerate(make_rows(split, n), start=1)
    ]


def answer(rng: random.Random, example: Example, skill: float, rare_skill: float) -> str:
    """The reference with each field spoiled at 1 − skill; rare slices have their own skill."""
    fields = dict(line.split(": ", 1) for line in (example.reference or "").split("\n"))
    rare = {"correction": "order", "order=other-number": "order", "sarcasm": "urgency"}
    rare |= {"implied-urgency": "urgency", "two-requests": "request", "second-product": "product"}
    weak = {field for tag, field in rare.items() if tag in example.tags}
    wrong = {
        "product": "toaster oven",
        "problem": "something else",
        "urgency": "normal",
        "order": "A-99999",
        "request": "information",
        "name": "John Smith",
    }
    for field in FIELDS:
        if rng.random() > (rare_skill if field in weak else skill):
            fields[field] = wrong[field]
    if skill < 0.3 and rng.random() < 0.5:
        return " ".join(["I am sorry for your loss."] * 6)
    return "\n".join(f"{key}: {value}" for key, value in fields.items())


def findings_of(example: Example, response: Response) -> list[Finding]:
    """Wrong fields, invented order numbers, and repetition; enough kinds for a report."""
    out = []
    text, reference = response.text, example.reference or ""
    wanted = dict(line.split(": ", 1) for line in reference.split("\n"))
    got = {
        key: (value, start)
        for key, value, start in (
            (*line.split(": ", 1), text.index(line)) for line in text.split("\n") if ": " in line
        )
    }
    for field in FIELDS:
        kind, detector = f"wrong:{field}", "suite:fields"
        if field not in got:
            out.append(Finding(response.id, kind, "unscored", detector, "1", message="not there"))
            continue
        value, start = got[field]
        bad = value != wanted[field]
        at = start + len(field) + 2
        spans = (Span(at, at + len(value), f"{wanted[field]} was wanted"),) if bad else ()
        status = "fail" if bad else "pass"
        out.append(
            Finding(response.id, kind, status, detector, "1", 0.8 * bad, spans, "differs" * bad)
        )
    looped = text.count("sorry for your loss") > 1
    out.append(Finding(response.id, "format", "pass" if got else "fail", "suite:fields", "1"))
    spans = (Span(26, len(text), "again and again"),) if looped else ()
    status = "fail" if looped else "pass"
    out.append(Finding(response.id, "repetition", status, "repetition", "1", looped * 0.6, spans))
    invented = (
        "order" in got
        and got["order"][0] != "none"
        and got["order"][0] not in (example.prompt_text)
    )
    status = "fail" if invented else "pass"
    spans = ()
    if invented:
        at = got["order"][1] + 7
        spans = (Span(at, at + len(got["order"][0]), "not in the message"),)
    out.append(Finding(response.id, "hallucination", status, "source", "1", invented * 1.0, spans))
    return out


class Builder:
    """Fills a store the way a run does."""

    def __init__(self, root: Path) -> None:
        copy_example("tickets", root)
        self.config: Config = load_config(root / "residency.toml")
        self.store = Store(root)
        sizes = {"train": 60, "dev": 80, "test": 80, "pool": 120}
        self.splits = {split: examples_of(split, n) for split, n in sizes.items()}
        self.store.add_run(RUN, {"settings": self.config.model_dump(mode="json"), "suite": "s-1"})
        self.store.add_record("run opened", RUN, {"full": False})
        self.store.add_corpus(RUN, [e for rows in self.splits.values() for e in rows])
        for split in ("dev", "test"):
            self.store.add_record("scope", RUN, {"scope": f"scope-{split}"})
        self.answers: dict[tuple[str, str], tuple[list[Response], list[Finding]]] = {}

    def respond(self, model: Model, split: str, skill: float, rare: float, *, evil: bool) -> Any:
        rng = random.Random(f"{model.id}{split}")
        responses, findings = [], []
        for place, example in enumerate(self.splits[split]):
            text = answer(rng, example, skill, rare)
            if evil and place % 7 == 0:
                text = text.replace("toaster oven", EVIL) + f"\n{EVIL}"
            response = Response(model.id, example.id, text, (1, 2, 3), prompt_tokens=80)
            responses.append(response)
            findings += findings_of(example, response)
        self.store.add_responses(responses)
        self.store.add_findings(f"scope-{split}", findings)
        self.answers[model.id, split] = responses, findings
        return summarise(findings, self.splits[split], responses).to_dict()

    def outcomes(self, issue: Any, model: Model, split: str) -> Any:
        responses, findings = self.answers[model.id, split]
        return outcomes_diagnose(issue, self.splits[split], responses, findings)


def paired(before: Any, after: Any, groups: dict[str, str]) -> dict[str, Any]:
    compared = compare_paired(before, after, groups=groups)
    counts = compared.counts
    return {
        "n": counts.n,
        "unscored": counts.unscored,
        "before_rate": counts.before_rate,
        "after_rate": counts.after_rate,
        "fixed": counts.fixed,
        "broken": counts.broken,
        "delta": counts.delta,
        "low": compared.low,
        "high": compared.high,
        "p_value": compared.p_value,
        "e_value": counts.e_value,
    }


def build(root: Path, *, evil: bool = True, tested: bool = True) -> Store:
    """A run with a prompted base, two rounds, a control arm and (``tested``) the sealed test."""
    made = Builder(root)
    store, config, dev = made.store, made.config, made.splits["dev"]
    groups = {e.id: e.group for e in [*dev, *made.splits["test"]]}
    base = "smollm2-135m@sha256:" + "ab" * 32
    train = made.splits["train"]
    extra = [e for e in made.splits["pool"] if "sarcasm" in e.tags or "two-requests" in e.tags]
    first = DatasetVersion(tuple(e.id for e in train), "th", "tk", note="round 1, main")
    second = DatasetVersion(
        tuple(e.id for e in [*train, *extra]), "th", "tk", parent=first.id, note="round 2, main"
    )
    for dataset in (first, second):
        store.add_dataset(dataset)
    zero = Model(base)
    few = Model(base, "few-shot:4:1a2b3c4d")
    one = Model(base, adapter="sha256:" + "1" * 64, dataset=first.id, round=1)
    two = Model(base, adapter="sha256:" + "2" * 64, dataset=second.id, round=2)
    control = dataclasses.replace(two, adapter="sha256:" + "3" * 64, arm="control", seed=1)
    plan = [
        (0, "zero-shot", zero, "base, zero-shot", 0.05, 0.05),
        (0, "few-shot", few, "base, few-shot 4", 0.5, 0.2),
        (1, "main", one, "round 1", 0.97, 0.1),
        (2, "main", two, "round 2", 0.99, 0.93),
        (2, "control", control, "round 2, control", 0.98, 0.3),
    ]
    for number, arm, model, label, skill, rare in plan:
        store.add_model(model)
        scores = made.respond(model, "dev", skill, rare, evil=evil)
        rows = 0 if number == 0 else 60 if number == 1 else 60 + len(extra)
        store.add_round(
            RUN,
            Round(number, arm, model.dataset, model.id, rows, 61.0 + number),
            {"label": label, "scores": scores},
        )
        if number:
            key = f"train-{model.id}"
            made_by = {"training": key, "adapter": model.adapter, "steps": 30, "tokens": 9000}
            made_by |= {"trained_tokens": 3300, "seconds": 44.0, "final_loss": 0.1, "dropped": []}
            store.add_record("training", model.id, made_by)
            for step in range(30):
                store.add_metrics(key, step, {"loss": 2 / (1 + step), "lr": 1e-3, "seconds": step})
    judge(made, few, one, two, control, groups)
    store.add_proposals(
        RUN,
        2,
        [
            Proposal(
                store.issues(RUN)[0].id,
                dataclasses.replace(e, why="issue"),
                "pool",
                "nearest",
                0.8 - 0.001 * place,
                near=dev[0].id,
                accepted=place != 1,
                reason="shares 8 words with a dev item" if place == 1 else "",
            )
            for place, e in enumerate(extra)
        ],
    )
    rows = {split: len(examples) for split, examples in made.splits.items()}
    data = {"rows": rows, "notes": ["2 exact duplicates removed from pool"], "rejects": 1}
    data["base"] = {"name": "smollm2-135m", "identity": base, "note": "4-bit source"}
    data["settings"] = config.model_dump(mode="json")
    turn = "<|im_start|>user\nMy kettle leaks.<|im_end|>\n<|im_start|>assistant\n"
    data["shown"] = [[[turn, False], ["product: kettle<|im_end|>", True], ["\n", False]]]
    store.finish_stage(RUN, "data", 0.5, {"result": data})
    if tested:
        sealed(made, zero, few, two, groups)
        store.finish_stage(RUN, "complete", 0.0, {"result": {"final": two.id}})
    return store


def judge(
    made: Builder, few: Model, one: Model, two: Model, control: Model, groups: dict[str, str]
) -> None:
    """Issues found in the few-shot base and after round 1; verdicts after rounds 1 and 2."""
    store, dev = made.store, made.splits["dev"]
    finding, measuring = halves(dev, 0)
    known: list[tuple[Any, Model]] = []

    def find(model: Model, number: int) -> None:
        responses, findings = made.answers[model.id, "dev"]
        issues = find_issues(
            dev,
            findings,
            responses,
            half=finding,
            model=model.id,
            round=number,
            config=made.config.diagnose,
            known=[issue for issue, _ in known],
        )
        store.add_issues(RUN, issues)
        known.extend((issue, model) for issue in issues)
        store.finish_stage(RUN, f"issues {number}", 0.0, {"result": [i.id for i in issues]})

    find(few, 0)
    expected = [{"issue": i.id, "n": 30, "rate": 0.6, "mde": 0.31} for i, _ in known]
    store.finish_stage(RUN, "expectations", 0.0, {"result": expected})
    for number, model, previous in ((1, one, few), (2, two, one)):
        before = len(known)
        find(model, number)
        comparisons = [
            Comparison(
                issue,
                (previous if place >= before else origin).id,
                model.id,
                made.outcomes(issue, previous if place >= before else origin, "dev"),
                made.outcomes(issue, model, "dev"),
            )
            for place, (issue, origin) in enumerate(known)
        ]
        verdicts = judge_round(
            comparisons,
            half=measuring,
            groups=groups,
            round=number,
            config=made.config.diagnose,
            previous=store.verdicts(RUN),
        )
        store.add_verdicts(RUN, verdicts)
    arms = []
    for issue, _ in known:
        sides = [
            {k: v for k, v in made.outcomes(issue, m, "dev").items() if k in measuring}
            for m in (control, two)
        ]
        arms.append({"issue": issue.id, **paired(sides[0], sides[1], groups)})
    store.finish_stage(RUN, "arms 2", 0.0, {"result": arms})
    sides = [{i.id: made.outcomes(i, m, "dev") for i, _ in known} for m in (control, two)]
    found = compare_arms(sides[0], sides[1], half=measuring, groups=groups)
    figures = ("groups", "better", "worse", "p_value", "delta", "low", "high")
    together = {name: getattr(found, name) for name in figures}
    together["adjusted_p"] = dict(found.adjusted_p)
    store.finish_stage(RUN, "overall 2", 0.0, {"result": together})


def kind_outcomes(
    kind: str, examples: Sequence[Example], responses: Sequence[Response], found: Sequence[Finding]
) -> dict[str, bool | None]:
    example_of = {r.id: r.example for r in responses}
    out: dict[str, bool | None] = {e.id: None for e in examples}
    for finding in found:
        if finding.kind == kind and finding.status != "unscored":
            key = example_of[finding.response]
            out[key] = bool(out[key]) or finding.status == "fail"
    return out


def sealed(made: Builder, zero: Model, few: Model, two: Model, groups: dict[str, str]) -> None:
    """The sealed test: both baselines and the final model."""
    store, test = made.store, made.splits["test"]
    scores = {
        zero.id: made.respond(zero, "test", 0.05, 0.05, evil=False),
        few.id: made.respond(few, "test", 0.5, 0.2, evil=False),
        two.id: made.respond(two, "test", 0.98, 0.92, evil=False),
    }
    store.add_record("test opened", RUN, {"final": two.id, "base": few.id})
    verdicts = confirm(
        [
            Comparison(
                issue,
                few.id,
                two.id,
                made.outcomes(issue, few, "test"),
                made.outcomes(issue, two, "test"),
            )
            for issue in store.issues(RUN)
        ],
        groups=groups,
        config=made.config.diagnose,
        round=2,
    )
    store.add_verdicts(RUN, verdicts)
    kinds = sorted({f.kind for f in made.answers[two.id, "test"][1]})
    change: Callable[[Model], dict[str, Any]] = lambda model: {  # noqa: E731
        kind: paired(
            kind_outcomes(kind, test, *made.answers[model.id, "test"]),
            kind_outcomes(kind, test, *made.answers[two.id, "test"]),
            groups,
        )
        for kind in kinds
    }
    labels = {zero.id: "base, zero-shot", few.id: "base, few-shot 4", two.id: "round 2"}
    sides = {
        model.id: {
            "label": labels[model.id],
            "scores": scores[model.id],
            "against_final": change(model),
        }
        for model in (zero, few, two)
    }
    per_item = []
    for model in (few, two):
        responses, findings = made.answers[model.id, "test"]
        per_item.append(item_scores(summarise(findings, test, responses), responses))
    body = {"final": two.id, "reference": few.id, "sides": sides}
    body["score_change"] = score_change(*per_item, groups)
    store.finish_stage(RUN, f"test {two.id}", 20.0, {"result": body})


__all__ = ["EVIL", "RUN", "Slice", "build", "by_id"]
