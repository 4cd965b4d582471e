"""``residency report``: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path

from residency.report.write_report import write_report
from residency.store.store import Store

REPORT_NAME = "report.html"


def report(root: Path, store: Store, out: str | Path = "", *, run: str = "") -> Path:
    """Write the report of the latest run, or of ``run``; gives the file's path.

    Args:
        root: the project's folder, into which it is written where no file is named.

    Raises:
        StoreError: nothing was run yet. UserError: the file cannot be written.
    """
    return write_report(store, Path(out) if out else root / REPORT_NAME, run=run)
