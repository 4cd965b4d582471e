"""``trace``: from any id back to everything it came from, and what it led to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from residency.errors import StoreError
from residency.nouns.model import Model
from residency.nouns.short_view import ShortView
from residency.project.made_rows import name_issue_of
from residency.project.named_models import find_trained_model
from residency.project.row_decisions import apply_decisions, read_decisions
from residency.results.kinds import issue_title
from residency.store.record_kind import RecordKind
from residency.store.store import Store
from residency.text.counts import write_count
from residency.text.percent import write_percent


@dataclass(frozen=True, repr=False)
class Trace(ShortView):
    """A tree of facts: one line about this thing, and traces of what lies behind it."""

    id: str
    line: str
    details: dict[str, Any] = field(default_factory=dict)
    parents: tuple[Trace, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "id": self.id,
            "line": self.line,
            "details": self.details,
            "parents": [p.to_dict() for p in self.parents],
        }


def trace_id(store: Store, key: str) -> Trace:
    """Everything behind a model, dataset version, issue, example or response (id or prefix), or
    behind a trained model by its name (``final``, ``round-1``).

    Raises:
        StoreError: nothing or more than one thing is meant.
    """
    named = find_trained_model(store, key)
    ids = [named] if named else store.find(key)
    if len(ids) != 1:
        what = "nothing stored begins" if not ids else f"{len(ids)} things begin"
        raise StoreError(
            f"{what} with {key!r}",
            next_step="give a longer id; residency status and residency report show ids",
        )
    full = ids[0]
    tracers = {
        "m": _trace_model,
        "ds": _trace_dataset,
        "is": _trace_issue,
        "ex": _trace_example,
        "r": _trace_response,
    }
    return tracers[full.split("-", 1)[0]](store, full)


def _trace_model(store: Store, key: str) -> Trace:
    model = store.model(key)
    parents = [_trace_dataset(store, model.dataset)] if model.dataset else []
    training = store.records(RecordKind.TRAINING, key)
    details: dict[str, Any] = {"base": model.base, "seed": model.seed, "settings": model.settings}
    if model.adapter:
        details["adapter"] = model.adapter
    if training:
        details["training"] = {k: v for k, v in training[0].items() if k != "at"}
    return Trace(key, f"model: {_describe_model(model)}", details, tuple(parents))


def _describe_model(model: Model) -> str:
    if model.adapter is None:
        return f"{model.base}, {model.prompting}"
    return f"{model.base} fine-tuned, round {model.round}, {model.arm} arm, seed {model.seed}"


def _trace_dataset(store: Store, key: str) -> Trace:
    version = store.dataset(key)
    run = store.latest_run()
    proposals = store.proposals(run) if run else []
    edited = apply_decisions(proposals, read_decisions(store))
    wanted = set(version.rows)
    by_issue: dict[str, list[str]] = {}
    for p in {p.id: p for p in [*edited, *proposals]}.values():
        if p.accepted and p.example.id in wanted:
            by_issue.setdefault(f"{p.issue} ({p.origin}, {p.selector}, {p.arm})", []).append(
                p.example.id
            )
    drawn = {key for rows in by_issue.values() for key in rows}
    general = 0
    for example in (store.corpus_examples(run, version.rows) if run else {}).values():
        general += example.split == "replay"
        if example.id not in drawn and (issue := name_issue_of(example)):
            by_issue.setdefault(f"{issue} ({example.why.split(' ')[0]})", []).append(example.id)
    from_user = len(wanted) - general - len({key for rows in by_issue.values() for key in rows})
    details: dict[str, Any] = {
        "note": version.note,
        "template": version.template_hash,
        "tokenizer": version.tokenizer_hash,
        "settings": version.settings,
        "rows from the user's train split": from_user,
        "general rows, against forgetting": general,
        "rows for issues": by_issue,
    }
    parents = [_trace_dataset(store, version.parent)] if version.parent else []
    return Trace(
        key, f"dataset version: {write_count(len(version.rows), 'row')}", details, tuple(parents)
    )


def _trace_issue(store: Store, key: str) -> Trace:
    run = store.latest_run()
    issue = next((i for i in (store.issues(run) if run else []) if i.id == key), None)
    if issue is None or run is None:
        raise StoreError(f"issue {key} belongs to an earlier run", next_step="residency status")
    verdicts = [v for v in store.verdicts(run) if v.issue == key]
    rows = [p for p in store.proposals(run) if p.issue == key]
    details: dict[str, Any] = {
        "kind": issue.kind,
        "slice": issue.slice.name,
        "detector": f"{issue.detector} {issue.version}",
        "tolerance": issue.tolerance,
        "failing examples": list(issue.examples),
        "verdicts": [
            f"round {v.round} {v.split}: {v.status}, {write_percent(v.before_rate, 0)} → {write_percent(v.after_rate, 0)} "
            f"of {v.n}, Δ [{v.low:+.2f}, {v.high:+.2f}], p {v.p_value:.2g}, e {v.e_value:.3g}"
            for v in verdicts
        ],
        "rows accepted": [p.example.id for p in rows if p.accepted and p.arm == "main"],
        "rows turned down": {p.example.id: p.reason for p in rows if not p.accepted},
    }
    reference = _trace_model(store, issue.reference_model)
    return Trace(
        key,
        f"issue: {issue_title(issue)}, found in round {issue.found_round}",
        details,
        (reference,),
    )


def _trace_example(store: Store, key: str) -> Trace:
    example = store.example(key)
    run = store.latest_run()
    proposals = [p for p in (store.proposals(run) if run else []) if p.example.id == key]
    details: dict[str, Any] = {
        "source": example.source,
        "why it is here": example.why,
        "split": example.split,
        "group": example.group,
        "tags": list(example.tags),
        "messages": [m.to_dict() for m in example.messages],
        "made for": name_issue_of(example),
        "proposed for": [
            {
                "issue": p.issue,
                "by": f"{p.origin}, {p.selector}",
                "arm": p.arm,
                "near": p.near,
                "accepted": p.accepted,
                "reason": p.reason,
            }
            for p in proposals
        ],
        "trained by": _list_trained_models(store, key),
    }
    if example.rejected is not None:
        details["worse answer"] = example.rejected
    return Trace(key, f"example from {example.source or 'the product'}", details)


def _list_trained_models(store: Store, example: str) -> list[str]:
    """Models whose dataset version holds an example, with what they are."""
    models = [model for model in store.models() if model.dataset]
    holding = {
        dataset
        for dataset in {model.dataset for model in models}
        if dataset is not None and example in store.dataset(dataset).rows
    }
    return [f"{m.id}: {_describe_model(m)}" for m in models if m.dataset in holding]


def _trace_response(store: Store, key: str) -> Trace:
    response = store.responses_by_id([key]).get(key)
    if response is None:
        raise StoreError(f"there is no response {key}")
    model = store.model(response.model)
    details = {"text": response.text, "finish": response.finish}
    parents = (_trace_model(store, model.id), _trace_example(store, response.example))
    return Trace(key, f"response of {_describe_model(model)}", details, parents)
