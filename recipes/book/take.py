"""Take books out of the corpus archive, each as a text file named by its number.

    python take.py …/books.jsonl.xz 518 157

The numbers are Project Gutenberg's; ``recipes/tiny/corpus.tsv`` lists titles and sources.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("numbers", nargs="+")
    args = parser.parse_args()
    wanted = set(args.numbers)
    with lzma.open(args.archive, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if str(row["id"]) in wanted:
                Path(f"{row['id']}.txt").write_text(row["text"], encoding="utf-8")
                print(f"{row['id']}.txt: {row['title']}")
                wanted.remove(str(row["id"]))
    if wanted:
        raise SystemExit(f"not in the archive: {', '.join(sorted(wanted))}")


if __name__ == "__main__":
    main()
