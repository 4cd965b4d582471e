"""What the commands that measure and hand on models print with ``--json``."""

from __future__ import annotations

from residency.cli.json_shape import MODEL_FIELDS, JsonShape

_CHANGES = (
    "for each measure: name, n, groups, lost, gained, missing, before, after, rise, low, high, p_value, "
    "adjusted_p, status, bounded"
)

MEASURE_SHAPES: dict[str, JsonShape] = {
    "compare": JsonShape(
        "Two models on the same items, or two logs of other programs.",
        {
            "before": MODEL_FIELDS,
            "after": MODEL_FIELDS,
            "split": "",
            "kinds": "kind → n, rates, delta (the fall), low, high, fixed, broken, p_value",
            "fixed": "kind → examples",
            "broken": "kind → examples",
            "scores": "of both",
            "primary": "the metric that models are compared by: title, n, before, after, delta, low, high, one_sided, worst, best",
            "units": "what rates and changes count, where items are grouped; empty elsewhere",
        },
        other_forms={
            "two logs": {
                "before": "the earlier log, in words",
                "after": "the later one",
                "changes": _CHANGES,
                "unscored": "measure → items without a value",
                "alone": "items that one log alone has: earlier, later",
                "left_out": "measures that are not compared, and why",
                "incomplete": "logs that did not come to their end",
            }
        },
    ),
    "gate": JsonShape(
        "May the model go out?",
        {
            "passed": "true: exit code 0; false: 1",
            "before": "the earlier side, in words",
            "after": "the present side",
            "limits": "alpha, margin, coverage, strict",
            "checks": _CHANGES,
            "reasons": "why it is closed: kind, name, what, error (how often such a sentence is false)",
            "notes": "what else to know",
        },
        other_forms={
            "--save": {"file": "the baseline's file", "model": "", "run": "id of the run"}
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
    "arena rules": JsonShape(
        "Votes by the test suite, and their evidence.",
        row_fields={
            "prompt": "id of the example",
            "a": "a model",
            "b": "the other",
            "outcome": "a, b, tie or skip",
            "rater": "rules",
            "left": "which was shown first",
            "repeat": "0, or the number of the repetition",
            "response_a": "id",
            "response_b": "id",
            "note": "the reason",
            "seconds": "",
        },
    ),
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
            "labels": "model → name",
            "by_rater": "rater → votes",
            "agreement": "between raters; null with one",
            "consistency": "pairs shown again, and how many were judged the same",
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
        "Memory (bytes) and time (seconds) of a training, and how far that was off.",
        {
            "memory": "at its most, in all",
            "program": "of it, what the program takes without a model",
            "model": "of it, weights",
            "training": "of it, gradients, optimizer and activations",
            "cache": "of it, outputs of frozen layers",
            "seconds": "of the training",
            "steps": "",
            "step_seconds": "",
            "frozen_seconds": "of the frozen layers, once",
            "measured_memory": "of the probe or of --check's training; null without",
            "measured_step_seconds": "likewise",
            "memory_error": "predicted against measured, as a share; null without --check",
            "time_error": "likewise",
        },
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
}
"""By the words of the command."""
