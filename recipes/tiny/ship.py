"""Put a pretrained model into the package as the base ``tiny``, with its checksums.

python recipes/tiny/ship.py out/main/model
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from residency.files.atomic_write import write_json
from residency.model.checksums import MANIFEST, combined_sha256, describe_files, model_files

TARGET = Path(__file__).parents[2] / "src" / "residency" / "model" / "tiny"
LIMIT = 10_000_000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    model = parser.parse_args().model
    weights = (model / "model.safetensors").stat().st_size
    if weights > LIMIT:
        raise SystemExit(f"{weights} bytes of weights; the package takes {LIMIT}")
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for file in model_files(model):
        shutil.copy(file, TARGET / file.name)
    files = describe_files(model_files(TARGET))
    for known in files.values():
        del known["mtime_ns"]  # installing gives files new times
    write_json(
        TARGET / MANIFEST,
        {
            "name": "tiny",
            "identity": f"tiny@shipped:sha256:{combined_sha256(files)}",
            "source": "shipped",
            "note": "a base model: it continues text and follows no instructions before it is tuned",
            "files": files,
        },
    )
    print(f"{weights} bytes of weights → {TARGET}")


if __name__ == "__main__":
    main()
