"""What each command prints with ``--json``: fields, their meaning, and a version."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class JsonShape:
    """An output: what it is, its fields by name, and those of each of ``rows`` where it has rows."""

    about: str
    fields: dict[str, str] = field(default_factory=dict)
    row_fields: dict[str, str] = field(default_factory=dict)
    version: int = 1


FIELD_TYPES: dict[str, str] = {
    **dict.fromkeys(("complete", "healthy", "passed", "here", "accepted"), "boolean"),
    **dict.fromkeys(("id", "run", "stopped", "report", "line"), "string"),
    **dict.fromkeys(
        ("rounds", "stages", "conclusion", "looked_at", "problems", "repaired"), "array"
    ),
    **dict.fromkeys(("checks", "parents", "answers", "notes"), "array"),
    **dict.fromkeys(("limits", "failing"), "object"),
}
"""JSON type of fields that have the same one wherever they stand."""

_RUN = {
    "run": "id of the run",
    "complete": "whether it came to its end",
    "stopped": "why the rounds ended; empty while they go on",
    "data": "rows by split, notes of the checks, the base, settings, detectors and their trust",
    "rounds": "for each model: round, label, scores (score, kinds, slices; each with low, high, coverage)",
    "issues": "issue, its verdicts on dev by round, confirmed (sealed test), expected, title, status",
    "arms": "by round: targeted against random rows, issue by issue",
    "together": "by round: the same over all issues that drew rows",
    "test": "the sealed test; null before it is opened",
    "test_openings": "how often it was opened in this project",
    "forgetting": "base against final on the guard's benchmarks; null without",
    "stages": "finished steps: name, seconds, end (UTC)",
    "conclusion": "sentences",
    "seconds": "wall time of the work",
    "final": "the model that statuses speak of; empty before the sealed test",
    "falls": "dev against the sealed test, by issue",
    "alpha_share": "this run's part of the project's α",
    "arms_plan": "trainings of each arm that are planned",
    "arms_tested": "what several trainings of each arm show on the sealed test",
}
_MODEL = "id, base, prompting, adapter, dataset, seed, round, arm, settings"
_CHANGES = (
    "for each measure: name, n, groups, lost, gained, missing, before, after, rise, low, high, p_value, "
    "adjusted_p, status, bounded"
)

SHAPES: dict[str, JsonShape] = {
    "init": JsonShape(
        "A project that was made.",
        {"folder": "where it is", "files": "data files by name", "found": "what each file holds"},
    ),
    "run": JsonShape("The run, as status shows it.", _RUN),
    "status": JsonShape(
        "The latest run.",
        {**_RUN, "running": "what a process works on now; null when none does"},
    ),
    "doctor": JsonShape(
        "The store and stored models.",
        {
            "looked_at": "what was checked, a line each",
            "problems": "what is damaged",
            "repaired": "what --repair mended",
            "healthy": "whether nothing is damaged",
        },
    ),
    "report": JsonShape("The report that was written.", {"report": "its path"}),
    "check": JsonShape(
        "What is in the data files. figures: a check each (name, rows, of, level, examples, action).",
        {
            "subject": "file, folder or project",
            "files": "path, layout, mapping, rows, hash of each",
            "rows": "rows read, by split",
            "kept": "rows after the checks, by split",
            "rejected": "rows that could not be read",
            "rejects": "where and why",
            "reasons": "reasons with counts",
            "removed": "rows taken out, by reason",
            "removed_rows": "which",
            "contradictions": "same request, other answer",
            "dev_tags": "groups of each tag among the dev rows that stay",
            "tokens": "lengths, truncation, trained tokens",
            "figures": "every check",
            "benchmarks": "overlap with benchmark files",
            "leaks": "rows near dev or test",
            "notes": "sentences",
            "seconds": "wall time",
            "shown": "rows of --show",
        },
    ),
    "data list": JsonShape(
        "Dataset versions.",
        row_fields={
            "id": "",
            "rows": "how many",
            "parent": "the version before",
            "note": "",
            "rounds": "who trained on it",
            "folder": "where a cleaned one lies",
        },
    ),
    "data show": JsonShape(
        "A dataset version.",
        {
            "id": "",
            "rows": "ids of its examples",
            "template_hash": "",
            "tokenizer_hash": "",
            "settings": "what it was made with",
            "parent": "",
            "note": "",
        },
    ),
    "data export": JsonShape("A version that was written.", {"folder": "where"}),
    "data diff": JsonShape("Two dataset versions: what was added, removed and changed."),
    "collect": JsonShape("Items that need a better answer, or the rows that were made."),
    "train": JsonShape(
        "A training.",
        {
            "model": _MODEL,
            "adapter": "its folder",
            "training": "steps, tokens, seconds, final_loss",
        },
    ),
    "eval": JsonShape(
        "A model's answers on a split, graded.",
        {
            "model": _MODEL,
            "scores": "score, kinds, slices, by_item, primary",
            "requests": "what an endpoint was asked and cost; null for local models",
            "notes": "sentences",
        },
    ),
    "diagnose": JsonShape(
        "Issues in a model's stored dev answers.",
        {
            "model": _MODEL,
            "issues": "id, kind, slice, detector, version, tolerance, title, examples",
            "failing": "issue id → examples that fail",
        },
    ),
    "target": JsonShape(
        "Rows proposed for an issue; nothing is added.",
        row_fields={
            "id": "",
            "issue": "",
            "example": "the row",
            "origin": "pool, teacher, template, person",
            "selector": "",
            "score": "",
            "near": "the failure that it is like",
            "arm": "",
            "accepted": "whether the firewall lets it pass",
            "reason": "why not",
        },
    ),
    "compare": JsonShape(
        "Two models on the same items, or two logs of other programs (then before, after and changes "
        f"are there: {_CHANGES}; unscored, alone, left_out, incomplete).",
        {
            "before": _MODEL,
            "after": _MODEL,
            "split": "",
            "kinds": "kind → n, rates, delta (the fall), low, high, fixed, broken, p_value",
            "fixed": "kind → examples",
            "broken": "kind → examples",
            "scores": "of both",
            "primary": "the metric that models are compared by: title, n, before, after, delta, low, high, one_sided, worst, best",
            "units": "what rates and changes count, where items are grouped; empty elsewhere",
        },
    ),
    "gate": JsonShape(
        "May the model go out? With --save: file, model, run.",
        {
            "passed": "true: exit code 0; false: 1",
            "before": "the earlier side, in words",
            "after": "the present side",
            "limits": "alpha, margin, coverage, strict",
            "checks": _CHANGES,
            "reasons": "why it is closed: kind, name, what, error (how often such a sentence is false)",
            "notes": "what else to know",
        },
    ),
    "baseline": JsonShape(
        "Should one fine-tune at all?",
        {
            "rows": "each way with scores and costs",
            "differences": "paired",
            "recommendation": "sentences",
        },
    ),
    "bench": JsonShape(
        "Public benchmarks.",
        {
            "tasks": "",
            "margin": "the loss that is still called kept",
            "models": "name, model, metrics",
            "differences": "against the first model",
            "contaminated": "items near the training data",
            "separated": "metrics without them",
        },
    ),
    "arena rules": JsonShape("Votes by the test suite."),
    "arena judge": JsonShape(
        "Votes by a judge model.",
        {"votes": "", "flipped": "pairs judged otherwise in the other order", "no_verdict": ""},
    ),
    "arena board": JsonShape(
        "Ratings.",
        {
            "standings": "model, rating, interval, wins, losses, ties",
            "votes": "",
            "prompts": "",
            "raters": "",
            "style": "what length and form are worth",
            "ties": "",
            "ties_interval": "",
        },
    ),
    "arena export": JsonShape("Preference pairs.", {"pairs": "how many", "file": ""}),
    "judge run": JsonShape(
        "A judge model's verdicts.",
        {
            "model": "",
            "label": "",
            "responses": "",
            "scored": "",
            "passes": "",
            "rate": "",
            "interval": "",
            "flipped": "",
            "invalid": "",
            "failed": "",
            "unconstrained": "",
            "asked": "",
            "cached": "",
            "agreement": "with people's labels",
            "corrected": "the rate, corrected for the judge's errors",
        },
    ),
    "chat": JsonShape(
        "An answer to one message (-m).", {"message": "", "answers": "model and text of each"}
    ),
    "trace": JsonShape(
        "Where something came from.",
        {
            "id": "",
            "line": "in a sentence",
            "details": "",
            "parents": "the same, of what it was made of",
        },
    ),
    "estimate": JsonShape(
        "Memory (bytes) and time (seconds) of a training, and how far that was off."
    ),
    "merge": JsonShape(
        "A merged model.", {"folder": "", "proof": "differences from base and adapter"}
    ),
    "export": JsonShape(
        "Files of an export.",
        {
            "folder": "",
            "score": "of the model itself on dev",
            "files": "file, size, proof, score, issues before and after, refused (why it was not kept)",
            "notes": "",
            "failed": "whether any file was refused",
            "written": "false where all were refused: there is no folder then",
            "next_step": "what to try then",
            "licences": "what is said of them",
            "pushed": "the address on the hub; empty when not asked",
        },
    ),
    "base list": JsonShape(
        "Base models.",
        row_fields={
            "name": "",
            "here": "on this machine",
            "path": "",
            "identity": "name and checksum",
        },
    ),
    "base fetch": JsonShape("A base model.", {"name": "", "path": "", "identity": "", "note": ""}),
    "base show": JsonShape("A base model's card.", {"name": "", "card": "Markdown"}),
    "pretrain": JsonShape("A pretraining: folder, figures, notes."),
    "suite draft": JsonShape("A drafted suite, and what it can tell apart."),
    "suite test": JsonShape("What the suite passes and fails of right and wrong answers."),
    "read": JsonShape("Answers that a person reads, with notes, modes and suggestions."),
    "label": JsonShape(
        "An issue's rate by people's labels.",
        {
            "left": "ids of answers to label next, as many flagged ones as others, in a blind order",
            "labels": "of this kind on the model's answers",
            "corrected": "rate, low, high, and the counts behind them; null with too few labels",
        },
    ),
    "rows": JsonShape(
        "Rows that issues drew, and what people decided.", row_fields={"id": "", "issue": ""}
    ),
    "sweep": JsonShape("The plan of a sweep, or its result."),
    "search": JsonShape(
        "The plan of a search for settings, or its result.",
        {
            "trials": "settings, trainings, score on the items that choose, whether stopped",
            "best": "settings of [train]; empty when the project's own were best",
            "gain": "the best minus the project's own, by fresh trainings on other items",
            "words": "what it shows",
        },
    ),
    "launch": JsonShape("What was started, or would be."),
    "ingest": JsonShape(
        "What was read from production, and how all traffic stands against dev.",
        {
            "read": "conversations in the files; of the own log, an answer each",
            "left_out": "of the own log: reason → requests or answers that are no conversation",
            "repeated": "conversations equal to another one of this call",
            "known": "rows that were in the store before",
            "added": "rows that were not known",
            "total": "rows of traffic in the store",
            "skipped": "spans that ask no model",
            "unreadable": "place and reason",
            "masked": "kind → texts in which it was replaced",
            "kinds": "kind, failed, judged, low, high: what detectors without a reference found",
            "drift": "share of new prompts with its interval, and clusters",
        },
    ),
    "usage": JsonShape(
        "What the server was used for between two times.",
        {
            "since": "seconds since 1970",
            "until": "likewise",
            "requests": "",
            "answered": "",
            "errors": "HTTP status → requests",
            "refused": "requests that moderation let no model see",
            "prompt_tokens": "",
            "answer_tokens": "",
            "cached_tokens": "of the prompts, those not computed again",
            "seconds": "p50, p95, p99 of answered requests; null without any",
            "first_token": "likewise",
            "queue": "likewise",
            "models": "the same by the name that clients sent",
            "up_seconds": "",
            "uptime": "share of the time since the first server started",
            "running": "whether a server runs now",
            "moderation": "side, kind, action, requests, share, low, high",
            "thumbs_up": "",
            "thumbs_down": "",
            "better": "requests with a better answer",
            "texts": "requests whose text is remembered",
            "without_text": "reason → requests of which no text is remembered",
            "cost": "of 1000 requests: by paid hours, by busy time; null without a price",
            "predictions": "what the last baseline measured, at this price",
        },
    ),
    "moderate": JsonShape(
        "What moderation did with a text.",
        {
            "side": "input or output",
            "action": "off, flag, mask or refuse: the gravest",
            "text": "what is left",
            "hits": "kind, group, action, start, end, score",
            "judges": "who was asked, with versions",
            "seconds": "",
        },
    ),
    "serve": JsonShape(
        "Where the server listens and for which models, when it does; then it serves."
    ),
    "skill": JsonShape(
        "The page for coding assistants.", {"text": "", "file": "where it was written"}
    ),
}
"""By the words of the command. One without an entry has version 1 and no documented fields."""

WITHOUT_JSON = {
    "web": "serves pages until it is ended",
    "mcp": "speaks a protocol on its own pipe",
    "schema": "prints JSON Schemas, or their names",
    "arena review": "asks a person, answer by answer; arena board --json has what came of it",
    "judge label": "asks a person, answer by answer; judge run --json has what came of it",
}
"""Commands whose output no program reads, and why."""
