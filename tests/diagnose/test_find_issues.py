"""Findings become issues: which, in what order, and from the finding half only."""

from __future__ import annotations

import random

import pytest

from assessed import assess
from residency.config.diagnose import DiagnoseConfig
from residency.diagnose.dev_halves import split_halves
from residency.diagnose.find_issues import find_issues, overall_issues
from residency.loop.item_outcomes import find_issue_outcomes
from residency.nouns.example import Example, Message
from residency.nouns.finding import Finding
from residency.nouns.issue import Slice
from residency.nouns.response import Response

CONFIG = DiagnoseConfig()


def example(k: int, *tags: str, group: str = "") -> Example:
    return Example((Message("user", f"question {k}"),), split="dev", tags=tags, group=group)


def answer(to: Example, model: str = "m", sample: int = 0) -> Response:
    return Response(model, to.id, f"answer to {to.id}", sample=sample)


def look(
    response: Response, failed: bool | None, kind: str = "overlong", severity: float = 0.5
) -> Finding:
    status = "unscored" if failed is None else "fail" if failed else "pass"
    return Finding(response.id, kind, status, kind, "1", severity=severity if failed else 0.0)


def project(
    failing: dict[str, set[int]], n: int = 60, tags: dict[int, str] | None = None, **severity: float
):
    examples = [example(k, *([tags[k]] if tags and k in tags else [])) for k in range(n)]
    responses = [answer(e) for e in examples]
    findings = [
        look(r, k in places, kind, severity.get(kind, 0.5))
        for kind, places in failing.items()
        for k, r in enumerate(responses)
    ]
    return examples, responses, findings


def find(examples, responses, findings, **more):
    more.setdefault("half", {e.id for e in examples})
    more.setdefault("config", CONFIG)
    return find_issues(examples, findings, responses, model="m", round=0, **more)


def test_a_kind_that_recurs_becomes_an_issue_with_its_evidence() -> None:
    examples, responses, findings = project({"overlong": set(range(20)), "repetition": {1, 2}})
    (issue,) = find(examples, responses, findings)
    assert (issue.kind, issue.slice.by, issue.title) == ("overlong", "all", "overlong")
    assert issue.reference_model == "m"
    assert issue.tolerance == CONFIG.tolerance
    assert set(issue.examples) == {e.id for e in examples[:20]}


def test_only_the_finding_half_finds() -> None:
    examples, responses, findings = project({"overlong": set(range(20))})
    assert find(examples, responses, findings, half={e.id for e in examples[20:]}) == []


def test_common_and_catastrophic_come_first() -> None:
    examples, responses, findings = project(
        {"overlong": set(range(30)), "hallucination": set(range(25)), "repetition": set(range(8))},
        overlong=0.3,
        hallucination=0.9,
        repetition=0.5,
    )
    kinds = [issue.kind for issue in find(examples, responses, findings)]
    assert kinds == ["hallucination", "overlong", "repetition"]
    few = find(examples, responses, findings, config=DiagnoseConfig(max_issues=1))
    assert [issue.kind for issue in few] == ["hallucination"]


def test_a_slice_that_repeats_its_parent_is_dropped() -> None:
    rng = random.Random(0)
    tags = {k: "even" if k % 2 == 0 else "odd" for k in range(60)}
    everywhere = set(rng.sample(range(60), 30))
    examples, responses, findings = project({"overlong": everywhere}, tags=tags)
    assert [i.slice.name for i in find(examples, responses, findings)] == ["all"]


def test_a_slice_much_worse_than_the_rest_stands_beside_its_parent() -> None:
    tags = {k: "hard" if k < 15 else "easy" for k in range(60)}
    examples, responses, findings = project({"overlong": set(range(14)) | {40, 50}}, tags=tags)
    issues = find(examples, responses, findings)
    assert [i.slice.name for i in issues] == ["all", "hard"]
    assert issues[1].title == "overlong where hard"


def test_a_tag_that_only_goes_along_with_a_telling_one_is_not_kept_beside_it() -> None:
    # Whatever is sarcastic fails, and half of what is urgent is sarcastic; urgency itself is no matter.
    examples = [
        example(k, *(["sarcasm"] if k % 10 == 0 else []), *(["urgent"] if k % 5 == 0 else []))
        for k in range(400)
    ]
    responses = [answer(e) for e in examples]
    findings = [look(r, k % 10 == 0 or k % 13 == 1) for k, r in enumerate(responses)]
    issues = find(examples, responses, findings)
    assert [i.slice.name for i in issues] == ["all", "sarcasm"]


def test_of_many_chance_slices_hardly_one_is_told() -> None:
    told = 0
    for seed in range(40):
        rng = random.Random(seed)
        examples = [example(k, *(f"t{rng.randrange(5)}-{i}" for i in range(8))) for k in range(70)]
        responses = [answer(e) for e in examples]
        findings = [look(r, rng.random() < 0.3) for r in responses]
        told += sum(i.slice.by != "all" for i in find(examples, responses, findings))
    assert told <= 4  # 40 slices each; at 0.05 a slice it would be about 60


def test_two_tags_for_the_same_failures_make_one_issue() -> None:
    examples = [example(k, *(("a=1", "b=1") if k < 15 else ("a=2", "b=2"))) for k in range(200)]
    responses = [answer(e) for e in examples]
    findings = [look(r, k < 12) for k, r in enumerate(responses)]
    issues = find(examples, responses, findings)
    assert len(issues) == 1
    assert issues[0].slice.name in ("a=1", "b=1")


def test_paraphrases_count_once_and_two_detectors_of_one_kind_make_one_issue() -> None:
    examples = [example(k, group=f"g{k // 5}") for k in range(60)]
    responses = [answer(e) for e in examples]
    few = [look(r, k < 20) for k, r in enumerate(responses)]  # 20 failures, 4 requests
    assert find(examples, responses, few) == []
    many = [look(r, k < 30) for k, r in enumerate(responses)]
    twin = [Finding(f.response, f.kind, f.status, "suite", "1", f.severity) for f in many]
    assert len(find(examples, responses, [*many, *twin])) == 1


def test_a_new_issue_must_be_among_the_worst_of_the_current_model() -> None:
    failing = {f"kind{k}": set(range(30 - k)) for k in range(6)}
    examples, responses, findings = project(failing)
    config = DiagnoseConfig(max_issues=4)
    known = find(examples, responses, findings, config=config)
    assert len(known) == 4
    assert find(examples, responses, findings, config=config, known=known) == []


def test_overall_kinds_are_issues_whether_or_not_they_are_common() -> None:
    examples, responses, findings = project({"overlong": set(range(20)), "repetition": set()})
    (known,) = find(examples, responses, findings)
    overall = overall_issues(findings, model="m", config=CONFIG, known=[known])
    assert [(i.kind, i.slice.by) for i in overall] == [("repetition", "all")]
    assert known.id in {i.id for i in overall_issues(findings, model="m", config=CONFIG)}


def test_clusters_are_slices_too() -> None:
    examples, responses, findings = project({"overlong": set(range(8))}, n=100)
    cluster = Slice("cluster", "returns, refunds", tuple(e.id for e in examples[:10]))
    (issue,) = find(examples, responses, findings, slices=[cluster])
    assert issue.slice == cluster
    assert issue.title == "overlong in “returns, refunds”"


def test_known_issues_are_not_found_again_and_ids_are_stable() -> None:
    examples, responses, findings = project({"overlong": set(range(20))})
    (issue,) = find(examples, responses, findings)
    again = find_issues(
        examples, findings, responses,
        half={e.id for e in examples}, model="m", round=3, config=DiagnoseConfig(tolerance=0.2),
    )  # fmt: skip
    assert again[0].id == issue.id
    assert find(examples, responses, findings, known=[issue]) == []


def test_other_models_responses_are_not_looked_at() -> None:
    examples, responses, findings = project({"overlong": set(range(20))})
    other = [answer(e, "other") for e in examples]
    findings += [look(r, True, "repetition") for r in other]
    assert [i.kind for i in find(examples, [*responses, *other], findings)] == ["overlong"]


def test_unscored_is_neither_failure_nor_item() -> None:
    examples = [example(k) for k in range(30)]
    responses = [answer(e) for e in examples]
    findings = [look(r, None if k >= 10 else k < 6) for k, r in enumerate(responses)]
    (issue,) = find(examples, responses, findings)
    table = find_issue_outcomes(issue, assess(examples, responses, findings))
    assert sum(value is None for value in table.values()) == 20
    assert sum(value is True for value in table.values()) == 6
    missing = find_issue_outcomes(issue, assess(examples, responses[:3], findings))
    assert sum(value is not None for value in missing.values()) == 3


def test_outcomes_of_samples_by_majority_and_within_the_slice() -> None:
    inside, outside = example(1, "t"), example(2)
    responses = [answer(e, sample=k) for e in (inside, outside) for k in range(3)]
    fails = [True, True, False, False, False, True]
    responses = [
        Response("m", r.example, f"{r.text} {k}", sample=r.sample) for k, r in enumerate(responses)
    ]
    findings = [look(r, f) for r, f in zip(responses, fails, strict=True)]
    issue = find(
        [inside, outside], responses, findings, config=DiagnoseConfig(min_items=1, min_rate=0.1)
    )[0]
    assert issue.slice.by == "tag" or issue.slice.by == "all"
    table = find_issue_outcomes(issue, assess([inside, outside], responses, findings))
    assert table[inside.id] is True
    assert table.get(outside.id) in (None, False)


def test_halves_keep_groups_together_and_never_move_a_row() -> None:
    rows = [example(k, group=f"g{k // 3}") for k in range(300)]
    finding, measuring = split_halves(rows, 7)
    assert finding.isdisjoint(measuring)
    assert finding | measuring == {r.id for r in rows}
    for k in range(0, 300, 3):
        assert len({row.id in finding for row in rows[k : k + 3]}) == 1
    more = [example(k, group=f"h{k}") for k in range(1000, 1100)]
    shuffled = [*more, *rows[::-1][50:]]
    again, _ = split_halves(shuffled, 7)
    assert all((row.id in finding) == (row.id in again) for row in rows[::-1][50:])
    assert split_halves(rows, 8)[0] != finding
    assert len(split_halves(rows, 7, share=0.3)[0] - finding) == 0
    many = [example(k) for k in range(4000)]
    assert len(split_halves(many, 7)[0]) / 4000 == pytest.approx(0.4, abs=0.03)
