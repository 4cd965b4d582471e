"""Documentation as a failing test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from residency.cli.app import COMMANDS, EPILOG

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "residency"
PROMISED = range(1, 51)


def test_generated_pages_are_fresh() -> None:
    subprocess.run([sys.executable, str(DOCS / "generate.py"), "--check"], check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_an_example(name: str) -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    start = page.index(f"## residency {name}\n")
    end = page.find("\n## residency ", start + 1)
    section = page[start : end if end > 0 else None]
    assert f"residency {name}" in section.split("```")[1]
    assert re.search(rf"Example: residency {name}", section), "no example in the help"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if target.startswith(("http://", "https://")):
                continue
            path = (page.parent / target).resolve()
            assert path.exists(), f"{page.name} links to {target}, which is not there"
            if path.suffix == ".md":
                queue.append(path)
    missing = {p.name for p in DOCS.glob("*.md")} - {p.name for p in seen}
    assert not missing, f"no page links to {sorted(missing)}"


@pytest.mark.parametrize(
    "page",
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        *sorted(DOCS.glob("*.md")),
    ],
    ids=lambda page: page.name,
)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    """A path with a folder of this project, or of the package, leads to a file or folder."""
    if page.name == "log.md":
        return  # it tells what was there on its day
    rooms = {path.name for path in [*ROOT.iterdir(), *PACKAGE.iterdir()] if path.is_dir()}
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", page.read_text(encoding="utf-8"))
    missing = [
        name
        for name in named
        if name.split("/")[0] in rooms - {".git"}
        and re.search(r"(\.(py|md|j2|js|jsonl|toml|html|sh)|/)$", name)
        and not any((start / name).exists() for start in (ROOT, PACKAGE))
    ]
    assert not missing


def test_every_page_that_the_program_names_is_there() -> None:
    for path in (p for kind in ("*.py", "*.j2", "*.md") for p in PACKAGE.rglob(kind)):
        for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path.name} names {name}, which is not there"


def test_the_readme_begins_with_the_first_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert EPILOG.removeprefix("Begin with: ") in readme


def test_every_pain_has_a_test() -> None:
    names = re.findall(
        r"def test_pain_(\d\d)_", "".join(p.read_text() for p in (ROOT / "tests").rglob("*.py"))
    )
    assert {int(n) for n in names} == set(PROMISED)


def test_help_is_instant_because_it_imports_no_torch() -> None:
    code = (
        "import sys; from residency.cli.invoke import run_command_line; run_command_line(['--help']); "
        "heavy = {'torch', 'transformers', 'polars', 'sqlalchemy', 'scipy'} & set(sys.modules); "
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
