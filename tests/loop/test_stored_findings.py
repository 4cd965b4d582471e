"""Stored findings are reused only where they would come out the same: every setting in turn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from residency.loop.assess import assess_answers
from residency.nouns.model import Model
from residency.nouns.response import Response
from residency.project.settings_file import read_config
from residency.project.workspace import Workspace
from small import save_model, save_project

LONG = "The kettle leaks at the bottom since the seal of its jug is worn out and must be replaced."
ANSWERS = (
    LONG,
    "<think>It leaks, it leaks, it leaks, it leaks.</think>The kettle leaks at its worn seal.",
    "Bananas grow in the tropics, and the tropics are warm, warm, warm, warm, warm, warm, warm.",
    "Teh kettel leaks becuase of the seal",
    "",
    "The seal of order 4711 leaks.",
)


class FakeEmbedder:
    """Every text means the same to it."""

    name = "fake"

    def embed(self, texts: Any) -> Any:
        return np.ones((len(texts), 1), np.float32)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    root = save_project(folder / "p", save_model(folder / "model"))
    rows = [{"prompt": f"Why does it leak? {i}", "response": LONG} for i in range(6)]
    (root / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "strict.toml").write_text('[[rules]]\nrule = "length"\nmax = 5\n')
    return root


def figures(root: Path, changed: dict[str, Any]) -> Any:
    """Scores of the same answers, by the project's store as it is."""
    ws = Workspace(root, read_config(root, changed))
    examples = ws.split("dev")
    model = Model(base="some", prompting="zero-shot")
    responses = [
        Response(model.id, e.id, text, finish="length" if text == ANSWERS[3] else "stop")
        for e, text in zip(examples, ANSWERS, strict=True)
    ]
    with ws.store.writer("test"):
        ws.store.add_model(model)
        ws.store.add_responses(responses)
    assessed = assess_answers(ws, model, examples, responses)
    return assessed.scores.to_dict(), sorted(map(repr, assessed.findings))


CHANGES: list[dict[str, Any]] = [
    {"evaluate.embedder": "endpoint", "embedding.url": "http://x/v1"},
    {"evaluate.reasoning": "keep"},
    {"evaluate.reduce": "any"},
    {"evaluate.suite": "strict.toml"},
    {"diagnose.overlong_ratio": 1.01, "diagnose.overlong_slack": 0},
    {"diagnose.repetition_share": 0.9},
    {"diagnose.repetition_tandem": 2},
    {"diagnose.misspelling_words": 3},
    {"diagnose.similar": 0.1},
    {"diagnose.detectors": ["repetition"]},
    {"generate.max_new_tokens": 3},
    {"data.train": ["pool.jsonl"], "data.pool": []},
]


@pytest.mark.parametrize("changed", CHANGES, ids=[next(iter(change)) for change in CHANGES])
def test_a_changed_setting_gives_the_scores_of_a_fresh_project(
    project: Path, tmp_path: Path, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.embedding import named_embedders

    real = named_embedders.open_embedder
    monkeypatch.setattr(
        named_embedders,
        "open_embedder",
        lambda name, endpoint: FakeEmbedder() if name == "endpoint" else real(name, endpoint),
    )
    before = figures(project, {})
    after = figures(project, changed)
    fresh = tmp_path / "fresh"
    shutil.copytree(project, fresh, ignore=shutil.ignore_patterns(".residency"))
    assert after == figures(fresh, changed)
    assert figures(project, {}) == before
    if changed.get("evaluate.embedder"):
        assert after != before  # it does change a score
