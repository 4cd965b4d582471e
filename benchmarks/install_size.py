"""Packages and megabytes that an installation of Residency brings, from the installed metadata.

    python benchmarks/install_size.py [pyproject.toml ...] [--most 12]

Each file's runtime dependencies are followed in the environment that runs this; name an older
version's file to compare. What is not installed is not counted.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def follow_requirements(lines: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """Every installed package that these requirements bring, by name."""
    reached: dict[tuple[str, frozenset[str]], importlib.metadata.Distribution] = {}
    queue = [Requirement(line) for line in lines]
    while queue:
        need = queue.pop()
        key = (canonicalize_name(need.name), frozenset(need.extras))
        if key in reached:
            continue
        try:
            reached[key] = importlib.metadata.distribution(need.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for line in reached[key].requires or []:
            inner = Requirement(line)
            extras = ("", *need.extras)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
                queue.append(inner)
    return {name: package for (name, _), package in reached.items()}


def count_bytes(package: importlib.metadata.Distribution) -> int:
    """Bytes of a package's files, as its record tells."""
    return sum(file.size or 0 for file in package.files or [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("projects", nargs="*", type=Path, default=[ROOT / "pyproject.toml"])
    parser.add_argument("--most", type=int, default=12, help="largest packages to name")
    options = parser.parse_args()
    for path in options.projects:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        packages = follow_requirements(project["dependencies"])
        sizes = sorted(((count_bytes(p), n) for n, p in packages.items()), reverse=True)
        total = sum(size for size, _ in sizes) / 1e6
        print(f"{path}: {len(packages)} packages, {total:,.0f} MB")
        for size, name in sizes[: options.most]:
            print(f"  {name:32} {size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
