"""Write the generated half of the tiny model's training text as JSON lines.

    python recipes/tiny/generate_text.py --characters 30000000 --seed 1 --out generated.jsonl

The same seed gives the same text. ``--show`` prints one document of each frame instead.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from frames import FRAMES


def documents(seed: int, characters: int) -> Iterator[str]:
    """Documents of about ``characters`` characters in all, frames mixed by weight."""
    rng = random.Random(seed)
    frames = [frame for frame, _ in FRAMES]
    weights = [weight for _, weight in FRAMES]
    written = 0
    while written < characters:
        # Some documents hold several texts: what is wanted then lies further back, among others.
        parts = [
            frame(rng) for frame in rng.choices(frames, weights, k=rng.choice([1, 1, 1, 2, 3]))
        ]
        text = "\n\n".join(parts)
        written += len(text)
        yield text


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--characters", type=int, default=30_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("generated.jsonl"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    if args.show:
        rng = random.Random(args.seed)
        for frame, _ in FRAMES:
            print(f"=== {frame.__name__}\n{frame(rng)}\n")
        return
    partial = args.out.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as out:
        for text in documents(args.seed, args.characters):
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    partial.replace(args.out)


if __name__ == "__main__":
    main()
