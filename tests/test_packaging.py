"""What is installed fits together, and what ships is what should."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize(
    "line", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
)
def test_pain_21_every_dependency_is_pinned_within_its_range(line: str) -> None:
    need = Requirement(line)
    version = pins().get(canonicalize_name(need.name))
    assert version is not None, f"{need.name} is not in constraints.txt"
    assert need.specifier.contains(version, prereleases=True)


def test_pain_21_installed_packages_do_not_conflict() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_import_is_a_declared_dependency() -> None:
    """A package that is only there because another one needs it may vanish tomorrow."""
    declared = {
        canonicalize_name(Requirement(line).name)
        for lines in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
        for line in lines
    }
    provided = importlib.metadata.packages_distributions()
    used: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"^\s*(?:import|from) ([a-z_][a-z0-9_]*)", text, re.M))
    missing = {
        name
        for name in used - set(sys.stdlib_module_names) - {"residency"}
        if name in provided
        and not declared & {canonicalize_name(owner) for owner in provided[name]}
    }
    assert not missing


def test_versions_agree() -> None:
    from residency import __version__

    assert PROJECT["version"] == __version__
