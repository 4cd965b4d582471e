"""How often two answers reach thresholds of the rule ``similarity``: to one prompt, and to two prompts.

    python benchmarks/similarity_threshold.py FILE FILE ...

Each FILE is one model's answers to the same prompts in the same order, as AlpacaEval keeps them: a JSON
array of objects with ``output``. For each pair of models it takes the share of prompts whose two answers
reach the threshold, and the share of pairs of different prompts; the table has the smallest and the
largest share of all pairs of models.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np

from residency.embedding.wordllama import WordLlamaEmbedder

THRESHOLDS = (0.3, 0.4, 0.5, 0.6)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    files = parser.parse_args().files
    embedder = WordLlamaEmbedder()
    answers = [[row["output"] for row in json.loads(path.read_text())] for path in files]
    vectors = [np.stack(embedder.embed(texts)) for texts in answers]
    print(f"{len(files)} models, {len(answers[0])} prompts")
    print("threshold: same prompt passes, another prompt passes")
    for threshold in THRESHOLDS:
        same, other = [], []
        for left, right in combinations(vectors, 2):
            passed = left @ right.T >= threshold  # (prompts, prompts)
            count = len(passed)
            same.append(passed.diagonal().mean())
            other.append((passed.sum() - passed.diagonal().sum()) / (count * (count - 1)))
        print(
            f"{threshold}: {100 * min(same):.0f}–{100 * max(same):.0f} %, "
            f"{100 * min(other):.1f}–{100 * max(other):.1f} %"
        )


if __name__ == "__main__":
    main()
