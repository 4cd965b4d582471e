"""Packages and megabytes that an installation of Residency brings, from the installed metadata.

    python benchmarks/install_size.py [pyproject.toml ...] [--most 12] [--times 3]

Each file's runtime dependencies are followed in the environment that runs this; name an older
version's file to compare. What is not installed is not counted. With ``--times`` each is also installed
so often into a new environment, in turn: the least seconds by the clock and of the processor, downloads
included, with pip's cache and constraints as they are.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import resource
import subprocess
import tempfile
import time
import tomllib
import venv
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


def time_install(project: Path) -> tuple[float, float]:
    """Seconds by the clock and of the processor that ``pip install`` of a checkout takes."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        command = [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        if (project / "constraints.txt").exists():
            command += ["-c", str(project / "constraints.txt")]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([*command, str(project)], check=True)
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("projects", nargs="*", type=Path, default=[ROOT / "pyproject.toml"])
    parser.add_argument("--most", type=int, default=12, help="largest packages to name")
    parser.add_argument("--times", type=int, default=0, help="installations of each to time")
    options = parser.parse_args()
    for path in options.projects:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        packages = follow_requirements(project["dependencies"])
        sizes = sorted(((count_bytes(p), n) for n, p in packages.items()), reverse=True)
        total = sum(size for size, _ in sizes) / 1e6
        print(f"{path}: {len(packages)} packages, {total:,.0f} MB")
        for size, name in sizes[: options.most]:
            print(f"  {name:32} {size / 1e6:8.1f} MB")
    folders = [path.resolve().parent for path in options.projects]
    taken = [[time_install(folder) for folder in folders] for _ in range(options.times)]
    for folder, rounds in zip(folders, zip(*taken, strict=True), strict=False):
        clock, processor = (min(column) for column in zip(*rounds, strict=True))
        print(f"{folder}: installed in {clock:.0f} s, {processor:.0f} s of the processor")


if __name__ == "__main__":
    main()
