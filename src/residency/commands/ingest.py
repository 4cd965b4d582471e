"""``residency ingest``: what production asked and answered comes back, unlabelled.

Rows go into the store's traffic and nowhere else: no split takes them. A person's better answer
(``residency collect --traffic``) makes a training row of one, behind the firewall of dev and test.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.data.reading.traffic_logs import read_traffic_logs
from residency.data.reading.traffic_shapes import Conversation
from residency.diagnose.drift import Drift, measure_drift
from residency.errors import DataError
from residency.moderation.moderator import Moderator
from residency.moderation.open_moderator import open_moderator
from residency.nouns.example import Example
from residency.nouns.response import Response
from residency.nouns.served_request import Feedback
from residency.nouns.short_view import ShortView
from residency.nouns.traffic_row import TrafficRow
from residency.project.workspace import Workspace
from residency.results.usage import DAY, count_without_text
from residency.stats.intervals import clopper_pearson

OWN_LOG = "log"
"""Names the project's request log instead of a file."""
MODEL = "traffic:"
"""How the model of an answer of production begins."""


@dataclass(frozen=True)
class KindRate:
    """How often a detector without a reference saw a kind, of the answers that it could judge."""

    kind: str
    failed: int
    judged: int
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Ingested(ShortView):
    """What a call brought in, and how all traffic stands against dev.

    Attributes:
        read: conversations in the files; of the own log an answer each. left_out: reason → requests and
            answers of the own log that are no conversation. repeated: equal to another one of this call (same
            question, answer and model). known, added: rows that were, and were not, in the store before.
            total: rows in the store.
        skipped: spans that ask no model. unreadable: location and reason. masked: kind → texts in which
            it was replaced. kinds, drift: of all traffic in the store.
    """

    read: int
    left_out: dict[str, int]
    repeated: int
    known: int
    added: int
    total: int
    skipped: int
    unreadable: list[tuple[str, str]]
    masked: dict[str, int]
    kinds: tuple[KindRate, ...]
    drift: Drift


def ingest(
    ws: Workspace, files: Sequence[str], *, keep_personal: bool = False, limit: int = 0
) -> Ingested:
    """Read logs, mask what is private in them, look for errors and for what is new.

    Args:
        files: paths, or ``log`` for the project's request log.
        keep_personal: leave personal data as they are; secrets are masked all the same.
        limit: the newest so many rows of this call; 0: all.

    Raises:
        DataError: a file cannot be read, or nothing in any of them can be used.
    """
    paths = [Path(name) for name in files if name != OWN_LOG]
    log = read_traffic_logs(paths)
    rows = [_make_row(conversation, location) for conversation, location in log.conversations]
    left_out: Counter[str] = Counter()
    if OWN_LOG in files:
        rows += _read_own_log(ws, left_out)
    if not rows:
        reason = log.unreadable[0][1] if log.unreadable else "nothing is remembered"
        if left_out:
            reason = ", ".join(f"{count} {lack}" for lack, count in left_out.items())
        step = (
            "set keep_texts under [serve]" if OWN_LOG in files else "docs/usage.md lists the shapes"
        )
        raise DataError(
            f"no conversation is there: {reason}", where=", ".join(files), next_step=step
        )
    read = len(rows)
    rows = sorted(rows, key=lambda row: row.time)[-limit or None :]
    rows, masked = _mask_rows(rows, keep_personal)
    with ws.store.writer("ingest"):
        known = {row.id: row for row in ws.store.traffic()}
        fresh = {row.id: row for row in rows}
        joined = list((known | fresh).values())
        judged = _find_errors(ws, joined)
        drift = measure_drift(
            ws.split("dev"),
            [row.example for row in joined],
            ws.embedder,
            seed=ws.config.project.seed,
        )
        near = {row.example.prompt_text: drift.novelty.get(row.example.id) for row in joined}
        stored = [replace(row, novelty=near[row.example.prompt_text]) for row, _ in judged]
        ws.store.add_traffic(stored)
    return Ingested(
        read,
        dict(left_out),
        len(rows) - len(fresh),
        len(fresh.keys() & known.keys()),
        len(fresh.keys() - known.keys()),
        len(joined),
        log.skipped,
        log.unreadable,
        dict(masked.most_common()),
        tuple(_rate_kinds(kinds for _, kinds in judged)),
        drift,
    )


def _make_row(conversation: Conversation, location: str) -> TrafficRow:
    source = f"{location} {conversation.key}".strip()
    example = Example(conversation.messages, split="pool", source=source, why="traffic")
    answer = Response(MODEL + (conversation.model or "unknown"), example.id, conversation.answer)
    return TrafficRow(example, answer, source, conversation.time, conversation.thumb)


def _read_own_log(ws: Workspace, left_out: Counter[str]) -> list[TrafficRow]:
    """Rows of the requests whose text is remembered, with the last feedback on each.

    Args:
        left_out: gets why requests and answers make no row.
    """
    feedback_by_request: dict[str, Feedback] = {}
    for feedback in ws.store.feedback():
        before = feedback_by_request.get(feedback.request, feedback)
        feedback_by_request[feedback.request] = replace(
            feedback,
            thumb=feedback.thumb or before.thumb,
            answer=feedback.answer or before.answer,
            reason=feedback.reason or before.reason,
        )
    rows = []
    texts = ws.store.request_texts()
    served = ws.store.served_requests(0.0, time.time() + 1.0)
    left_out.update(count_without_text(served, {text.request for text in texts}))
    for text in texts:
        source = f"request {text.request}"
        example = Example(text.messages, split="pool", source=source, why="traffic")
        feedback = feedback_by_request.get(text.request, Feedback(text.request, text.time))
        expires = text.time + ws.config.serve.keep_days * DAY
        if expires <= time.time():
            # what has to be deleted soon is not ingested to live for ever: rows expire with their text
            left_out["older than keep_days"] += 1
        elif not any(m.role == "user" for m in text.messages):
            left_out["without a user's message"] += 1
        else:
            left_out["empty answers"] += sum(not answer.strip() for answer in text.answers)
            rows += [
                TrafficRow(
                    example,
                    Response(MODEL + text.model, example.id, answer),
                    source,
                    text.time,
                    feedback.thumb,
                    feedback.answer,
                    feedback.reason,
                    expires=expires,
                )
                for answer in text.answers
                if answer.strip()
            ]
    for reason in [reason for reason, count in left_out.items() if not count]:
        del left_out[reason]
    return rows


def _mask_rows(rows: Iterable[TrafficRow], keep: bool) -> tuple[list[TrafficRow], Counter[str]]:
    """Rows with personal data and secrets replaced by their kind, and how often each was."""
    actions = {"personal": "off" if keep else "mask", "secrets": "mask", "offensive": "off"}
    config = ModerationConfig.model_validate({"inputs": actions, "outputs": actions})
    moderator = open_moderator(config, GuardConfig(), "output")
    counts: Counter[str] = Counter()
    return [_mask_row(row, moderator, counts) for row in rows], counts


def _mask_row(row: TrafficRow, moderator: Moderator, counts: Counter[str]) -> TrafficRow:
    messages, messages_masked = moderator.moderate_messages(row.example.messages)
    texts = [moderator.moderate_text(t) for t in (row.response.text, row.better, row.reason)]
    for moderated in (messages_masked, *texts):
        counts.update(moderated.kinds)
    answer, better, reason = (moderated.text for moderated in texts)
    example = replace(row.example, messages=messages)
    response = Response(row.response.model, example.id, answer, finish=row.response.finish)
    return replace(row, example=example, response=response, better=better, reason=reason)


def _find_errors(
    ws: Workspace, rows: Sequence[TrafficRow]
) -> list[tuple[TrafficRow, dict[str, bool]]]:
    """Each row with the failures of its answer, and for each kind whether it failed."""
    from residency.diagnose.run_detectors import run_detectors
    from residency.evaluate.judged_answer import view_without_reasoning
    from residency.loop.assess import find_known_words
    from residency.text.label_values import find_label_values

    train = ws.split("train")
    findings = run_detectors(
        [row.example for row in rows],
        [view_without_reasoning(row.response) for row in rows],
        known_words=find_known_words(train),
        embedder=ws.embedder,
        config=ws.config.diagnose,
        max_new_tokens=ws.config.generate.max_new_tokens,
        label_values=find_label_values(train),
    )
    kinds: dict[str, dict[str, bool]] = {}
    severity: dict[str, float] = {}
    for finding in findings:
        if finding.status != "unscored":
            failed = finding.status == "fail"
            failed_by_kind = kinds.setdefault(finding.response, {})
            failed_by_kind[finding.kind] = failed_by_kind.get(finding.kind, False) or failed
            grave = severity.get(finding.response, 0.0)
            severity[finding.response] = grave + (finding.severity if failed else 0.0)
    out = []
    for row in rows:
        failed_by_kind = kinds.get(row.response.id, {})
        failures = tuple(sorted(kind for kind, failed in failed_by_kind.items() if failed))
        grave = round(severity.get(row.response.id, 0.0), 4)
        out.append((replace(row, failures=failures, severity=grave), failed_by_kind))
    return out


def _rate_kinds(kinds: Iterable[dict[str, bool]]) -> list[KindRate]:
    failed: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for failed_by_kind in kinds:
        judged.update(failed_by_kind.keys())
        failed.update(kind for kind, fails in failed_by_kind.items() if fails)
    return [
        KindRate(kind, failed[kind], count, *clopper_pearson(failed[kind], count))
        for kind, count in sorted(judged.items(), key=lambda item: (-failed[item[0]], item[0]))
    ]
