"""Moderation's judges on labelled texts: precision, recall and latency, by language.

    python benchmarks/moderation.py [--threshold 0.8] [--realdata FOLDER] [--json FILE]

The labelled texts come with the package; we wrote and labelled them ourselves for this purpose. With
``--realdata`` the judges also look at texts that other people wrote for other purposes (questions and
answers of public instruction sets): nothing is labelled there, so what is told is the share that they
flag, an upper bound of false alarms, with a few of them to look at.

The time of the whole moderator is measured on answers of 50 to 3200 characters: complete, and in
pieces of 24 characters as a server sends them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from residency.config.data import DataConfig
from residency.config.guard import GuardConfig
from residency.config.moderation import ModerationConfig
from residency.data.reading.source_reader import read_sources
from residency.errors import DataError
from residency.moderation.measure_moderation import JudgeQuality, load_labelled, measure_judges
from residency.moderation.open_moderator import open_moderator, open_text_judges

SENTENCE = (
    "The kettle was sent back to Ms Weber on 12.05., tracking number 4071-22, and works now. "
)
LENGTHS = (50, 200, 800, 3200)
PIECE = 24


def describe(quality: JudgeQuality) -> str:
    """One row of the table of Markdown."""

    def share(value: float | None, bounds: tuple[float, float], hits: int, of: int) -> str:
        low, high = bounds
        return "–" if value is None else f"{hits}/{of} [{100 * low:.0f}, {100 * high:.0f}]"

    flagged = quality.true_positives + quality.false_positives
    wanted = quality.true_positives + quality.false_negatives
    cells = [
        quality.judge,
        quality.language or "all",
        str(quality.n),
        share(quality.precision, quality.precision_bounds, quality.true_positives, flagged),
        share(quality.recall, quality.recall_bounds, quality.true_positives, wanted),
        f"{quality.milliseconds:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def measure_latency() -> list[dict[str, float]]:
    """Milliseconds of a moderator that masks, whole and in pieces."""
    actions = {"personal": "mask", "secrets": "mask", "offensive": "mask"}
    config = ModerationConfig.model_validate({"outputs": actions})
    out = []
    for length in LENGTHS:
        text = (SENTENCE * (length // len(SENTENCE) + 1))[:length]
        whole, pieces = [], []
        for turn in range(20):
            moderator = open_moderator(config, GuardConfig(), "output")
            moderator.load_judges()
            start = time.perf_counter()
            moderator.moderate_text(f"{turn} {text}")
            whole.append(time.perf_counter() - start)
            moderator = open_moderator(config, GuardConfig(), "output")
            start = time.perf_counter()
            for end in range(PIECE, length, PIECE):
                moderator.moderate_text(f"{turn} {text}"[:end], final=False)
            moderator.moderate_text(f"{turn} {text}")
            pieces.append(time.perf_counter() - start)
        out.append(
            {
                "characters": length,
                "whole_ms": 1000 * sorted(whole)[len(whole) // 2],
                "pieces_ms": 1000 * sorted(pieces)[len(pieces) // 2],
            }
        )
    return out


def read_texts(folder: Path) -> list[str]:
    """Questions and answers in the files of a folder that can be read as rows."""
    texts: list[str] = []
    for path in sorted(folder.rglob("*.json*")):
        try:
            read = read_sources([str(path)], DataConfig(), "train", folder, need_answer=False)
        except DataError:
            continue
        for example in read.examples[:400]:
            texts += [example.prompt_text, example.reference or ""]
    return [text for text in dict.fromkeys(texts) if text.strip()]


def show_real_data(folder: Path, threshold: float) -> list[dict[str, Any]]:
    """What the judges flag in texts that others wrote."""
    texts = read_texts(folder)
    out = []
    for judge in open_text_judges(threshold):
        flagged = [text for text in texts if judge.find(text[:4000])]
        share = len(flagged) / max(1, len(texts))
        out.append({"judge": judge.version, "texts": len(texts), "flagged": len(flagged)})
        print(f"{judge.version}: flags {len(flagged)} of {len(texts)} texts ({100 * share:.2f} %)")
        for text in flagged[:5]:
            hit = judge.find(text[:4000])[0]
            print(
                f"    {hit.kind}: …{' '.join(text[max(0, hit.start - 30) : hit.end + 10].split())[:90]}…"
            )
    return out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threshold", type=float, default=ModerationConfig().offensive_threshold)
    parser.add_argument("--realdata", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    qualities = measure_judges(open_text_judges(options.threshold), load_labelled())
    print("| judge | language | texts | precision, 95 % | recall, 95 % | ms a text |")
    print("|---|---|---|---|---|---|")
    for quality in qualities:
        print(describe(quality))
    latency = measure_latency()
    print("\n| characters | whole, ms | in pieces of 24, ms in all |\n|---|---|---|")
    for row in latency:
        print(f"| {row['characters']} | {row['whole_ms']:.2f} | {row['pieces_ms']:.2f} |")
    real = []
    if options.realdata is not None and options.realdata.is_dir():
        print()
        real = show_real_data(options.realdata, options.threshold)
    if options.json:
        body = {"judges": [vars(q) for q in qualities], "latency": latency, "real": real}
        options.json.write_text(json.dumps(body, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
