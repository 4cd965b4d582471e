"""CONTRIBUTING followed to the letter: a package of plugins, installed beside ours, is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from small import make_rows, save_model, save_project

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r'```\w+ title="(?P<name>[^"]+)"\n(?P<body>.*?)```', re.S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like site-packages with the page's package in it."""
    folder = tmp_path_factory.mktemp("site")
    files = dict(BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, body in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(body, encoding="utf-8")
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def project(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose rows, rule and detector are the package's; it was run to its end."""
    folder = tmp_path_factory.mktemp("outside")
    save_project(folder / "p", save_model(folder / "model"), rounds=1)
    for split, count in {"train": 16, "dev": 12, "test": 8, "pool": 30}.items():
        rows = [
            {"customer_said": row["input"], "clerk_said": f"PLEASE TAKE {row['response']}".upper()}
            for row in make_rows(count, split)
        ]
        (folder / "p" / f"{split}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "p" / "suite.toml").write_text('[[rules]]\nrule = "polite"\n')
    settings = folder / "p" / "residency.toml"
    settings.write_text(
        settings.read_text().replace("[evaluate]\n", '[evaluate]\nsuite = "suite.toml"\n')
    )
    call(site, "run", str(folder / "p"))
    return folder / "p"


def call(site: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "residency", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rows_of_the_packages_layout_are_read(site: Path, project: Path) -> None:
    said = call(site, "check", str(project), "--json")
    assert "shop-log" in said


def test_its_detector_and_its_rule_are_in_the_read_out_and_in_the_report(
    site: Path, project: Path
) -> None:
    kinds = json.dumps(json.loads(call(site, "status", str(project), "--json")))
    assert "shouting" in kinds
    assert "impolite" in kinds
    call(site, "report", str(project), "--out", str(project / "r.html"))
    page = (project / "r.html").read_text(encoding="utf-8")
    assert "shouting" in page
    assert "impolite" in page


def test_without_the_package_what_it_brought_is_named(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "residency", "eval", str(project), "--model", "base"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "customer_said" in done.stderr
