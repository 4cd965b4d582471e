"""A store with many items, as a run fills it, for `benchmarks/pages.py --items`.

Two models answer every dev item; as many rows wait in the pool and in train, a tenth as many are
sealed, and every tenth row of the pool was drawn by an issue.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from residency.nouns.example import Example
from residency.nouns.model import Model
from residency.nouns.proposal import Proposal
from residency.nouns.round import Round
from residency.store.record_kind import RecordKind
from residency.store.stage_key import StageKey, StageName
from residency.store.store import Store
from scale import RUN, add_issues, answer_items, make_example, make_scores

SPLITS = {"train": 1.0, "dev": 1.0, "pool": 1.0, "test": 0.1}
"""Rows of each split for each item of dev."""


def fill_many_items(root: Path, items: int) -> None:
    """A project whose run has ``items`` dev items and twice as many judged answers to them."""
    rng = random.Random(0)
    root.mkdir(parents=True)
    (root / "residency.toml").write_text('[project]\nname = "many items"\n')
    rows = {
        split: [make_example(split, number) for number in range(max(1, int(share * items)))]
        for split, share in SPLITS.items()
    }
    for split in ("train", "dev", "test", "pool"):
        _write_rows(root / f"{split}.jsonl", rows[split][:200])
    models = [Model("base", "zero-shot"), Model("base", adapter="sha256:1", round=1)]
    store = Store(root)
    with store.writer("benchmark"):
        store.add_run(RUN, {"settings": {}})
        store.add_record(RecordKind.RUN_OPENED, RUN, {"full": True})
        store.add_record(RecordKind.SCOPE, RUN, {"scope": "dev"})
        store.add_corpus(RUN, [row for several in rows.values() for row in several])
        for number, (arm, model) in enumerate(zip(("zero-shot", "main"), models, strict=True)):
            store.add_model(model)
            answer_items(store, "dev", model, rows["dev"], rng)
            figures = {"label": f"round {number}, {arm}", "scores": make_scores(items)}
            store.add_round(RUN, Round(number, arm, None, model.id, 0, 1.0), figures)
        answer_items(store, "dev", models[1], rows["pool"][: items // 10], rng)
        add_issues(store, models, items)
        _propose_rows(store, rows)
        body: dict[str, Any] = {"rows": {split: len(several) for split, several in rows.items()}}
        store.finish_stage(RUN, StageKey(StageName.DATA), 0.0, {"result": body})
        store.finish_stage(RUN, StageKey(StageName.COMPLETE), 0.0, {"result": {}})
    store.close()


def _propose_rows(store: Store, rows: dict[str, list[Example]]) -> None:
    issues = store.issues(RUN)
    proposals = [
        Proposal(issues[n % len(issues)].id, row, "pool", "mixed", 0.5, near=rows["dev"][n].id)
        for n, row in enumerate(rows["pool"][::10])
    ]
    store.add_proposals(RUN, 1, proposals)
    store.finish_stage(RUN, StageKey.of_round(StageName.TARGET, 1), 0.0, {"result": {}})


def _write_rows(path: Path, rows: list[Example]) -> None:
    lines = (json.dumps({"messages": [m.to_dict() for m in row.messages]}) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines))
