"""What the commands of data and rounds print with ``--json``."""

from __future__ import annotations

from residency.cli.json_shape import MODEL_FIELDS, JsonShape

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
    "forgetting": "base against final on the guard's benchmarks, and where general rows are trained the final model against the same training without them (replay); null without",
    "stages": "finished steps: name, seconds, end (UTC)",
    "conclusion": "sentences",
    "seconds": "wall time of the work",
    "final": "the model that statuses speak of; empty before the sealed test",
    "falls": "dev against the sealed test, by issue",
    "alpha_share": "this run's part of the project's α",
    "arms_plan": "trainings of each arm that are planned",
    "arms_tested": "what several trainings of each arm show on the sealed test",
}
ROUND_SHAPES: dict[str, JsonShape] = {
    "init": JsonShape(
        "A project that was made.",
        {"folder": "where it is", "files": "data files by name", "found": "what each file holds"},
    ),
    "run": JsonShape("The run, as status shows it.", _RUN),
    "status": JsonShape(
        "The latest run.",
        {
            **_RUN,
            "running": "what a process works on now; null when none does",
            "next": "what to do next, the most important first: title, reason, command, page, weight",
        },
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
            "leaks": "training rows near an item of a benchmark",
            "near_guard": "general rows (data.replay) near a question of rounds.guard, which no training gets",
            "notes": "sentences",
            "seconds": "wall time",
            "shown": "rows of --show",
        },
        with_options={"fixed": "with --fix: version, folder, kept, dropped"},
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
    "data diff": JsonShape(
        "Two dataset versions: what was added, removed and changed.",
        {
            "old": "id of the earlier version",
            "new": "id of the later one",
            "added": "ids of examples",
            "removed": "likewise",
            "kept": "how many stand in both",
            "reordered": "whether those that are kept stand in another order",
            "template_changed": "",
            "tokenizer_changed": "",
            "settings": "setting → earlier and later value",
        },
    ),
    "collect": JsonShape(
        "The rows that were made of documents, for an issue or from templates; without them the items "
        "that need a better answer.",
        {
            "path": "the file of collected rows",
            "added": "rows that were added",
            "total": "rows in the file",
            "goal": "rows to collect in all",
            "refused": "rows left out, with the reason: repeats, too near dev or test, failed by the suite or the judge",
            "skipped": "rows that were there already",
            "failed": "source and reason",
            "unscored": "check → how many of the added rows it could say nothing of",
        },
        other_forms={
            "without --documents, --issue and --templates": {
                "rows": "example, answer (the model's), failures (kinds), score"
            }
        },
    ),
    "train": JsonShape(
        "A training.",
        {
            "model": MODEL_FIELDS,
            "adapter": "its folder",
            "training": "steps, tokens, seconds, final_loss",
        },
    ),
    "eval": JsonShape(
        "A model's answers on a split, graded.",
        {
            "model": MODEL_FIELDS,
            "scores": "score, kinds, slices, by_item, primary",
            "requests": "what an endpoint was asked and cost; null for local models",
            "notes": "sentences",
        },
    ),
    "diagnose": JsonShape(
        "Issues in a model's stored dev answers.",
        {
            "model": MODEL_FIELDS,
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
            "part": "the part of dev whose failures drew it",
            "arm": "",
            "accepted": "whether the firewall lets it pass",
            "reason": "why not",
        },
    ),
}
"""By the words of the command."""
