"""``residency suite``: a suite drafted from the data, and what a suite can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit

from residency.config.settings import CONFIG_NAME
from residency.errors import SuiteError
from residency.evaluate.suites.draft_suite import SuiteDraft, draft_suite
from residency.evaluate.suites.load_suite import load_suite
from residency.evaluate.suites.sensitivity_table import Sensitivity
from residency.evaluate.suites.suite import Suite
from residency.files.atomic_write import write_text
from residency.loop.measure_sensitivity import measure_sensitivity
from residency.nouns.short_view import ShortView
from residency.project.workspace import Workspace

SUITE_FILE = "suite.toml"


@dataclass(frozen=True, repr=False)
class DraftedSuite(ShortView):
    """A draft, where it was written (None: nowhere), and what it and the suite in use tell apart."""

    draft: SuiteDraft
    path: Path | None
    in_use: bool
    drafted: Sensitivity | None
    present: Sensitivity | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "path": str(self.path) if self.path else None,
            "in_use": self.in_use,
            "references": self.draft.references,
            "rules": [
                {**table, "reason": reason}
                for table, reason in zip(self.draft.tables, self.draft.reasons, strict=True)
            ],
            "judge": self.draft.judge,
            "text": self.draft.text,
            "sensitivity": self.drafted.to_dict() if self.drafted else None,
            "sensitivity_of_present_suite": self.present.to_dict() if self.present else None,
        }


def write_suite_draft(
    ws: Workspace,
    *,
    out: str = SUITE_FILE,
    write: bool = True,
    force: bool = False,
    use: bool = False,
    compare: bool = True,
) -> DraftedSuite:
    """Draft a suite from train and dev, and measure it beside the one in use.

    Args:
        out: the file, within the project. write: leave it at showing when False. force: write over
            a file that is there. use: name it in ``residency.toml``. compare: measure the suite in use, too.

    Raises:
        SuiteError: there is such a file already, or too few rows have a reference.
    """
    path = ws.root / out
    if write and path.exists() and not force:
        raise SuiteError(
            "there is such a file already",
            where=str(path),
            next_step="residency suite draft DIR --force writes over it, --out names another file",
        )
    rows = [*ws.split("train"), *ws.split("dev")]
    draft = draft_suite(
        rows,
        name=ws.config.project.name,
        embedder=ws.embedder,
        judge=bool(ws.config.judge.url),
    )
    drafted = measure_sensitivity(ws, read_draft(draft))
    present = measure_sensitivity(ws) if compare else None
    if write:
        write_text(path, draft.text)
    if write and use:
        name_suite(ws.root, out)
    in_use = (write and use) or ws.config.evaluate.suite == out
    return DraftedSuite(draft, path if write else None, in_use, drafted, present)


def find_free_name(root: Path) -> str:
    """``suite.toml``, or the first of ``suite-2.toml``, ``suite-3.toml`` … that is not there yet."""
    names = (SUITE_FILE if n == 1 else f"suite-{n}.toml" for n in count(1))
    return next(name for name in names if not (root / name).exists())


def try_suite(ws: Workspace) -> Sensitivity:
    """What the suite in use passes and fails of right and wrong answers to dev items.

    Raises:
        SuiteError: no dev item has a reference.
    """
    table = measure_sensitivity(ws)
    if table is None:
        raise SuiteError(
            "no dev item has a reference, so nothing right is known to try the suite on",
            where="dev",
            next_step="give the rows of dev answers",
        )
    return table


def read_draft(draft: SuiteDraft) -> Suite:
    """The draft as a suite; it is read the way a file is."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / SUITE_FILE
        path.write_text(draft.text, encoding="utf-8")
        return load_suite(path)


def name_suite(root: Path, file: str) -> None:
    """Name a suite in the project's settings; everything else in them stays as it is."""
    path = root / CONFIG_NAME
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    document.setdefault("evaluate", tomlkit.table())["suite"] = file
    write_text(path, tomlkit.dumps(document).rstrip("\n") + "\n")
