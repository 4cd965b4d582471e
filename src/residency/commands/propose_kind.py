"""``residency read``: a failure mode that people named becomes a kind that later rounds measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from residency.diagnose.notes import Note, findings_of_notes
from residency.errors import UserError
from residency.evaluate.judge.agreement import Agreement, measure_agreement
from residency.evaluate.judge.judge import list_verdicts
from residency.evaluate.judge.prompts import Rubric
from residency.evaluate.suites.draft_rule import (
    RuleGrader,
    draft_rule,
    is_good_enough,
    measure_rule,
)
from residency.loop.judge_model import open_judge
from residency.loop.measure_kinds import load_notes
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.nouns.short_view import ShortView
from residency.project.named_kinds import NamedKind, Way, append_kind, read_kinds
from residency.project.workspace import Workspace
from residency.store.record_kind import RecordKind
from residency.text.counts import write_count


@dataclass(frozen=True, repr=False)
class KindProposal(ShortView):
    """A kind as it would be measured, and how far that agrees with the notes.

    ``agreement`` stands on answers that drafted nothing; ``fails`` and ``fine`` count the notes.
    """

    kind: NamedKind
    agreement: Agreement | None
    fails: int
    fine: int

    def describe(self) -> str:
        """What it is worth, in a sentence."""
        return self.kind.describe()


def propose_kind(
    ws: Workspace,
    mode: str,
    by: Way,
    *,
    criterion: str = "",
    rule: Mapping[str, Any] | None = None,
    severity: float = 0.5,
    reader: str = "",
) -> KindProposal:
    """How a mode would be measured, and how well. Nothing is written but a judge's answers.

    Args:
        by: ``rule``: one drafted from the notes, or ``rule``; ``judge``: ``criterion``, asked of
            the endpoint in ``[judge]``; ``reading``: by people alone; ``nothing``: no longer.

    Raises:
        UserError: no such mode, or too few notes. ConfigError: no judge is named.
    """
    notes = load_notes(ws.store)
    if mode not in {note.mode for note in notes if note.mode} and by != "nothing":
        raise UserError(f"there is no mode {mode!r}", next_step="residency read DIR lists them")
    labels = _label_answers(notes, mode)
    others = _find_others(notes, mode) - set(labels)
    fails = sum(not passed for passed in labels.values())
    counts = fails, len(labels) - fails
    named_kind = NamedKind(mode, by, severity=severity, who=reader)
    if by in ("reading", "nothing"):
        return KindProposal(named_kind, None, *counts)
    labelled = labels if by == "judge" else [*labels, *sorted(others)]
    responses = list(ws.store.responses_by_id(labelled).values())
    examples = _load_examples(ws, responses)
    table: Mapping[str, Any] = {}
    apart: Agreement | None = None
    if by == "judge":
        criterion = criterion or f"Is the answer free of this failure: {mode}?"
        report = open_judge(ws).check(
            Rubric(mode, criterion), examples, responses, progress=ws.progress
        )
        agreement = measure_agreement(list_verdicts(report.findings), dict(labels))
    else:
        keep_reasoning = ws.config.evaluate.reasoning == "keep"
        grader = RuleGrader(ws.suite, ws.embedder, keep_reasoning)
        sides = (examples, responses, labels, grader)
        measured = (
            draft_rule(*sides, others=others)
            if rule is None
            else measure_rule(dict(rule), *sides, others=others)
        )
        if measured is None:
            raise UserError(
                f"no rule tells {write_count(counts[0], 'answer')} with {mode!r} from {counts[1]} fine "
                f"{'one' if counts[1] == 1 else 'ones'}",
                next_step="read and note more answers, the fine ones too, or measure it by a judge's question",
            )
        table, agreement, apart = measured.table, measured.measured, measured.others
    kind = NamedKind(
        mode,
        by,
        rule=table,
        criterion=criterion if by == "judge" else "",
        severity=severity,
        usable=is_good_enough(agreement, apart),
        agreement=_list_counts(agreement, apart),
        who=reader,
    )
    return KindProposal(kind, agreement, *counts)


def add_kind(ws: Workspace, proposal: KindProposal) -> NamedKind:
    """Let later rounds measure a kind: it goes to the end of ``kinds.toml``."""
    with ws.store.people("read"):  # two who add at once would each leave out the other's
        read_kinds(ws.root)  # a file that cannot be read is told before anything is added to it
        kind = append_kind(ws.root, proposal.kind)
        ws.store.add_record(RecordKind.NAMED_KIND, kind.name, kind.to_dict())
    return kind


def _list_counts(agreement: Agreement, apart: Agreement | None) -> dict[str, int]:
    """Figures of a kind's entry: ``others`` counts answers with other failures."""
    counts = {name: getattr(agreement, name) for name in ("tp", "fn", "tn", "fp", "unscored")}
    if apart is not None and apart.tp + apart.fn:
        counts |= {"others": apart.tp + apart.fn, "others_failed": apart.fn}
    return counts


def _find_others(notes: Sequence[Note], mode: str) -> set[str]:
    """Responses whose first failure is in other modes, as everybody has it who noted one."""
    modes: dict[str, set[str]] = {}
    for note in notes:
        if note.text:
            modes.setdefault(note.response, set()).add(note.mode)
    return {response for response, several in modes.items() if not several & {mode, ""}}


def _load_examples(ws: Workspace, responses: Sequence[Response]) -> list[Example]:
    return [ws.store.example(key) for key in dict.fromkeys(r.example for r in responses)]


def _label_answers(notes: Sequence[Note], mode: str) -> dict[str, bool]:
    """Response id → fine (True) or with this mode (False); other failures say nothing of it."""
    findings = findings_of_notes(notes, {mode: 0.5})
    return {f.response: f.status == "pass" for f in findings if f.status != "unscored"}
