"""What a run left in the store, joined for people to read: rounds, issues, items, lineage.

Read-only, and from the store alone: no model and no data file is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from residency.errors import StoreError
from residency.nouns.dataset_version import DatasetVersion
from residency.nouns.example import Example, Split
from residency.nouns.finding import Finding
from residency.nouns.issue import Issue
from residency.nouns.proposal import Proposal
from residency.nouns.response import Response
from residency.results.views import Arm, IssueView, Sample
from residency.results.words import issue_title, kind_order
from residency.stats.sample_reducer import (
    Reduce,
    choose_answers,
    item_outcomes,
    kind_outcomes,
)
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey
from residency.store.store import Store


class Evidence:
    """A run's stored rows, joined when first asked for.

    Args:
        store: the project's store.
        run: the run; the one that was worked on last when empty.

    Raises:
        StoreError: nothing was run yet.
    """

    def __init__(self, store: Store, run: str = "") -> None:
        found = run or store.latest_run()
        if not found:
            raise StoreError("nothing was run here yet", next_step="run: residency run")
        self.store = store
        self.run = found
        self.opened = store.run(found)
        self._answers: dict[tuple[str, str], list[Response]] = {}
        self._findings: dict[tuple[str, str], list[Finding]] = {}

    # --- the run --------------------------------------------------------------------------

    @cached_property
    def stages(self) -> list[tuple[str, float, str]]:
        """Finished stages: key, seconds, when."""
        return [(str(s.key), s.seconds, s.finished_at) for s in self.store.stages(self.run)]

    def stage(self, key: str) -> Any:
        """A finished stage's result, or None."""
        body = self.store.stage(self.run, StageKey.parse(key))
        return body.get("result", body) if isinstance(body, dict) else body

    @cached_property
    def data(self) -> dict[str, Any]:
        """Row counts, notes of the data checks, base model and settings."""
        missing: dict[str, Any] = {"rows": {}, "notes": [], "rejects": 0, "base": {}, "shown": []}
        return {**missing, **(self.stage("data") or {})}

    @property
    def settings(self) -> dict[str, Any]:
        """The project's settings as they were when the run was opened."""
        found: dict[str, Any] = self.data.get("settings") or self.opened.get("settings") or {}
        return found

    @property
    def reduce(self) -> Reduce:
        """How the run made several samples of an item one outcome."""
        found: Reduce = self.settings.get("evaluate", {}).get("reduce", "majority")
        return found

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return any(key == "complete" for key, _, _ in self.stages)

    @property
    def stopped(self) -> str:
        """Why the rounds ended."""
        return next((str(self.stage(k)) for k, _, _ in self.stages if k.startswith("stop ")), "")

    @cached_property
    def test(self) -> dict[str, Any] | None:
        """The sealed test's figures, once it was opened."""
        keys = [key for key, _, _ in self.stages if key.startswith("test ")]
        return self.stage(keys[-1]) if keys else None

    @cached_property
    def test_sides(self) -> list[tuple[str, dict[str, Any]]]:
        """Models of the sealed test with their figures, in the order of the rounds."""
        order = {arm.model.id: place for place, arm in enumerate(self.arms)}
        sides = self.test["sides"].items() if self.test else ()
        return sorted(sides, key=lambda side: order.get(side[0], len(order)))

    @property
    def test_openings(self) -> int:
        """How often the sealed test was opened, in every run of the project."""
        return len(self.store.records(RecordKind.TEST_OPENED))

    @cached_property
    def test_seconds(self) -> float:
        """Wall time of the sealed test."""
        return sum(seconds for key, seconds, _ in self.stages if key.startswith("test "))

    # --- rounds ---------------------------------------------------------------------------

    @cached_property
    def arms(self) -> list[Arm]:
        """Every model that answered dev, in the order of the rounds."""
        out = []
        for round_, figures in self.store.rounds(self.run):
            records = self.store.records(RecordKind.TRAINING, round_.model)
            training = records[-1] if records else None
            out.append(
                Arm(
                    number=round_.index,
                    arm=round_.arm,
                    label=figures["label"],
                    model=self.store.model(round_.model),
                    trained_rows=round_.trained_rows,
                    seconds=round_.seconds,
                    scores=figures["scores"],
                    training=training,
                    curve=self.store.metrics(training["training"]) if training else [],
                )
            )
        return out

    def arm_of(self, model: str) -> Arm | None:
        """The column of a model."""
        return next((arm for arm in self.arms if arm.model.id == model), None)

    def label(self, model: str) -> str:
        """How a model is called in tables."""
        arm = self.arm_of(model)
        return arm.label if arm else model

    @cached_property
    def final(self) -> Arm | None:
        """The model that the sealed test judged; before that, the last one of the main arm."""
        if self.test:
            return self.arm_of(self.test["final"])
        mains = [arm for arm in self.arms if arm.arm == "main"]
        return mains[-1] if mains else None

    @cached_property
    def kinds(self) -> list[str]:
        """Kinds of failure that were looked for, the common ones first."""
        found = {kind for arm in self.arms for kind in arm.scores["kinds"]}
        return sorted(found, key=kind_order)

    @cached_property
    def datasets(self) -> dict[str, DatasetVersion]:
        """Dataset versions of the run's models, by id."""
        ids = [arm.model.dataset for arm in self.arms if arm.model.dataset]
        return {key: self.store.dataset(key) for key in dict.fromkeys(ids)}

    # --- issues ---------------------------------------------------------------------------

    @cached_property
    def issues(self) -> list[IssueView]:
        """Every issue, oldest round first, the worst first within a round."""
        expected = {row["issue"]: row for row in self.stage("expectations") or []}
        verdicts = self.store.verdicts(self.run)
        keys = [key for key, _, _ in self.stages]
        order = [i for key in keys if key.startswith("issues ") for i in self.stage(key) or []]
        arms = {int(k.split()[1]): self.stage(k) or [] for k in keys if k.startswith("arms ")}
        proposals = self.store.proposals(self.run)
        place = {key: number for number, key in enumerate(order)}
        found = sorted(
            self.store.issues(self.run),
            key=lambda issue: (issue.found_round, place.get(issue.id, len(place))),
        )
        titles = [issue_title(issue) for issue in found]
        return [
            IssueView(
                issue=issue,
                verdicts=[v for v in verdicts if v.issue == issue.id and v.split == "dev"],
                confirmed=next(
                    (v for v in verdicts if v.issue == issue.id and v.split == "test"), None
                ),
                expected=expected.get(issue.id),
                arms={
                    number: row
                    for number, rows in sorted(arms.items())
                    for row in rows
                    if row["issue"] == issue.id
                },
                proposals=[p for p in proposals if p.issue == issue.id],
                title=f"{title} ({issue.detector})" if titles.count(title) > 1 else title,
            )
            for issue, title in zip(found, titles, strict=True)
        ]

    def issue(self, prefix: str) -> IssueView:
        """One issue by id or the beginning of its id.

        Raises:
            StoreError: none or several begin so.
        """
        found = [view for view in self.issues if view.issue.id.startswith(prefix)]
        if len(found) != 1:
            raise StoreError(
                f"{len(found)} issues begin with {prefix!r}",
                next_step="residency status lists the issues",
            )
        return found[0]

    def samples(self, view: IssueView) -> list[Sample]:
        """An issue's items on dev: its reference model's answer beside the latest model's.

        Items that changed come first, then those that still fail.
        """
        latest = view.latest
        before = view.issue.reference_model
        if latest is not None and latest.before != latest.after:
            before = latest.before
        after = latest.after if latest else before
        examples = [e for e in self.examples("dev") if view.issue.slice.contains(e)]
        then, now = self._told(before, view.issue), self._told(after, view.issue)
        out = []
        for example in examples:
            if example.id in then and example.id in now:
                (old, said), (new, says) = then[example.id], now[example.id]
                out.append(Sample(example, old, new, said, says))
        rank = {"fixed": 0, "still failing": 1, "broken": 2, "passing": 3, "unscored": 4}
        return sorted(out, key=lambda sample: rank[sample.change])

    def _told(self, model: str, issue: Issue) -> dict[str, tuple[Response, Finding | None]]:
        """Of each dev item an answer that came out as the item did, with its finding."""
        responses = self.responses(model, "dev")
        judged = self.findings_by_response(model, "dev")
        told = {r.id: _of_issue(judged.get(r.id, []), issue) for r in responses}
        scored = [f for f in told.values() if f is not None]
        outcomes = item_outcomes(scored, responses, self.reduce)
        failed = {key: _failed(finding) for key, finding in told.items()}
        outcome = outcomes.get((issue.kind, issue.detector), {})
        chosen = choose_answers(responses, failed, outcome)
        return {example: (answer, told[answer.id]) for example, answer in chosen.items()}

    # --- items ----------------------------------------------------------------------------

    def examples(self, split: Split) -> list[Example]:
        """The run's examples of a split, in order."""
        if split not in self._corpus:
            self._corpus[split] = self.store.corpus(self.run, split)
        return self._corpus[split]

    @cached_property
    def _corpus(self) -> dict[str, list[Example]]:
        return {}

    def example(self, prefix: str) -> Example:
        """One example of the run by id or the beginning of its id.

        Raises:
            StoreError: none or several begin so.
        """
        splits: tuple[Split, ...] = ("dev", "test", "train", "pool")
        for split in splits:
            found = [e for e in self.examples(split) if e.id.startswith(prefix)]
            if len(found) == 1:
                return found[0]
        raise StoreError(
            f"no single example begins with {prefix!r}", next_step="give more of its id"
        )

    def responses(self, model: str, split: Split) -> list[Response]:
        """A model's answers on a split, in the order of the examples."""
        key = (model, split)
        if key not in self._answers:
            self._answers[key] = self.store.responses(model, self.examples(split))
        return self._answers[key]

    def answers(self, model: str, split: Split) -> dict[str, Response]:
        """A model's first answer to each example."""
        out: dict[str, Response] = {}
        for response in self.responses(model, split):
            out.setdefault(response.example, response)
        return out

    def findings(self, model: str, split: Split) -> list[Finding]:
        """What was found in a model's answers on a split, under this run's suite and detectors."""
        key = (model, split)
        if key not in self._findings:
            responses = self.responses(model, split)
            latest: dict[tuple[str, str, str], Finding] = {}
            for scope in [
                record["scope"] for record in self.store.records(RecordKind.SCOPE, self.run)
            ]:
                for finding in self.store.findings(scope, responses):
                    latest[finding.response, finding.detector, finding.kind] = finding
            self._findings[key] = list(latest.values())
        return self._findings[key]

    def findings_by_response(self, model: str, split: Split) -> dict[str, list[Finding]]:
        """The same, by response id."""
        out: dict[str, list[Finding]] = {}
        for finding in self.findings(model, split):
            out.setdefault(finding.response, []).append(finding)
        return out

    def failures(self, model: str, split: Split) -> dict[str, list[Finding]]:
        """Failed checks of each example; an example without a failure is there, empty.

        With several samples an item, only the kinds that the item fails as a whole.
        """
        responses, findings = self.responses(model, split), self.findings(model, split)
        owner = {r.id: r.example for r in responses}
        failing = kind_outcomes(findings, responses, self.reduce)
        out: dict[str, list[Finding]] = {e: [] for e in dict.fromkeys(owner.values())}
        for finding in findings:
            example = owner[finding.response]
            if finding.status == "fail" and failing[finding.kind].get(example):
                out[example].append(finding)
        return out

    # --- lineage --------------------------------------------------------------------------

    @cached_property
    def proposals(self) -> dict[int, list[Proposal]]:
        """Rows proposed for each round's dataset."""
        numbers = sorted({arm.number for arm in self.arms})
        found = {number: self.store.proposals(self.run, number) for number in numbers}
        return {number: rows for number, rows in found.items() if rows}

    def sources(self, proposals: Iterable[Proposal], arm: str) -> list[dict[str, Any]]:
        """Accepted rows of an arm counted by the issue that asked for them and by origin."""
        titles = {view.issue.id: view.title for view in self.issues}
        counts: dict[tuple[str, str], int] = {}
        for proposal in proposals:
            if proposal.accepted and proposal.arm == arm:
                key = (proposal.issue, f"{proposal.origin}, {proposal.selector}")
                counts[key] = counts.get(key, 0) + 1
        return [
            {"issue": issue, "title": titles.get(issue, issue), "origin": origin, "rows": rows}
            for (issue, origin), rows in counts.items()
        ]


def _of_issue(findings: Sequence[Finding], issue: Issue) -> Finding | None:
    """The finding that speaks for an issue; a failure when there are several."""
    mine = [f for f in findings if f.kind == issue.kind and f.detector == issue.detector]
    return next((f for f in mine if f.status == "fail"), mine[0] if mine else None)


def _failed(finding: Finding | None) -> bool | None:
    """Whether an answer fails; None: not looked at, or unscored."""
    return None if finding is None or finding.status == "unscored" else finding.status == "fail"
