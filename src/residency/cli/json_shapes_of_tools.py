"""What the commands beside the rounds print with ``--json``: bases, suites, people, searches, traffic."""

from __future__ import annotations

from residency.cli.json_shape import JsonShape

TOOL_SHAPES: dict[str, JsonShape] = {
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
    "pretrain": JsonShape(
        "A pretraining.",
        {
            "folder": "of the model",
            "parameters": "",
            "tokens": "trained on",
            "steps": "",
            "seconds": "",
            "bits_per_byte": "held-out text → bits per byte at the end",
            "before": "the same at the beginning, where it went on from a base",
            "notes": "sentences",
        },
    ),
    "suite draft": JsonShape(
        "A drafted suite, and what it can tell apart.",
        {
            "path": "where it was written; null with --dry-run",
            "in_use": "whether residency.toml names it",
            "text": "the file",
            "rules": "the rules as tables, each with its reason",
            "references": "answers that it was drafted from",
            "judge": "a question for a judge; empty without [judge]",
            "sensitivity": "what it passes and fails, as suite test prints it",
            "sensitivity_of_present_suite": "likewise of the suite in use",
        },
    ),
    "suite test": JsonShape(
        "What the suite passes and fails of right and wrong answers.",
        {
            "suite": "its name",
            "metric": "the primary metric",
            "items": "dev items that were answered",
            "probes": "name, value (of the metric), items, scored, rules (share that passes each), sample",
        },
    ),
    "read": JsonShape(
        "Answers that a person reads, with notes, modes and suggestions.",
        {
            "model": "whose answers",
            "reader": "who reads",
            "sample": "answers of the sample",
            "left": "answers not read yet: response, example, chosen (why), cluster",
            "notes": "id, response, reader, text, mode",
            "modes": "name, notes, measure",
            "progress": "read, failing, modes, quiet, next_step, unseen_rate, sentence",
            "agreement": "between readers: readers, shared, failing, modes, differing",
            "suggestions": "with --suggest: notes that are alike, and their common words",
        },
        with_options={"kind": "with --kind: the kind, and in said what its measure is worth"},
    ),
    "label": JsonShape(
        "An issue's rate by people's labels.",
        {
            "left": "ids of answers to label next, as many flagged ones as others, in a blind order",
            "labels": "of this kind on the model's answers",
            "corrected": "rate, low, high, and the counts behind them; null with too few labels",
            "issue": "its id",
            "title": "",
            "model": "whose answers",
            "sentence": "what the labels say",
        },
    ),
    "rows": JsonShape(
        "Rows that issues drew or that were made, and what people decided.",
        row_fields={
            "round": "that it is proposed for; 0 for a made row, which joins train",
            "proposal": "the row and where it came from; near is the failing dev item that it serves",
            "decision": "what people decided, who and why; null where nobody did",
            "made_from": "like and the pool row's id, a template or a document; empty for drawn rows",
        },
    ),
    "sweep": JsonShape(
        "The result of a sweep.",
        {
            "run": "id of the run",
            "metric": "title of the primary metric",
            "plan": "as --dry-run prints it",
            "curves": "learning curves: variant, issue, title, tolerance, measured, curve, doubled, needed, words",
            "sizes": "bases, trained models and endpoints: name, rows, score, costs, whether on_front",
            "best": "name of the best size; empty where none is",
            "advice": "sentences",
            "notes": "sentences",
            "measuring_items": "items that measure",
            "issue_titles": "issue → title",
            "seconds": "of this call",
        },
        other_forms={
            "--dry-run": {
                "cells": "trainings: title, variant, rows, seed, seconds",
                "left_out": "likewise, for want of time",
                "done": "trainings of the plan that an earlier call did",
                "seconds": "of what is planned, by the estimate",
                "seconds_of_all": "of all",
                "shared_seconds": "of what is done once",
                "minutes": "the bound; 0: none",
                "workers": "trainings at a time",
            }
        },
    ),
    "search": JsonShape(
        "The result of a search for settings.",
        {
            "trials": "settings, trainings, score on the items that choose, whether stopped",
            "best": "settings of [train]; empty when the project's own were best",
            "gain": "the best minus the project's own, by fresh trainings on other items",
            "words": "what it shows",
            "run": "id of the run",
            "metric": "title of the primary metric",
            "notes": "sentences",
            "seconds": "of this call",
        },
        other_forms={"--dry-run": {"plan": "a sentence", "trials": "how many"}},
    ),
    "launch": JsonShape(
        "What starts a training on several machines.",
        {"script": "the text", "file": "where it was written; null where it was not"},
    ),
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
        "Where the server listens and for which models, when it does; then it serves.",
        {
            "url": "",
            "models": "names",
            "keys": "whether clients must send a key",
            "notes": "sentences",
        },
        other_forms={
            "--vllm-command": {
                "command": "to be pasted",
                "model": "the name that clients send",
            }
        },
    ),
    "skill": JsonShape(
        "The page for coding assistants.", {"text": "", "file": "where it was written"}
    ),
}
"""By the words of the command."""
