"""``Project``: in a notebook, what the commands do.

from residency import Project
project = Project.open("demo")
summary = project.run()
project.report()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from residency import rounds

if TYPE_CHECKING:
    from residency.rounds.baseline import BaselineReport
    from residency.rounds.bench import BenchReport
    from residency.rounds.check import Checked
    from residency.train import Estimate
    from residency.types import Split

__all__ = ["Project"]


class Project(rounds.Project):
    """A project's folder and everything that can be done with it.

    Each method is the command of the same name; it works on stored rows and returns nouns.
    """

    def check(self, *, show: int = 0, fix: bool = False, strict: bool = False) -> Checked:
        """What is in the data files, and what is wrong with it; ``fix`` writes a cleaned version."""
        from residency.rounds.check import check

        return check(self.root, show=show, fix=fix, strict=strict, progress=self.progress)

    def estimate(self, *, check_steps: int = 0) -> Estimate:
        """Memory and time that training would need; with ``check_steps``, how far that is off."""
        from residency.rounds.estimate import estimate

        return estimate(self, check_steps=check_steps)

    def baseline(
        self,
        *,
        split: Split = "dev",
        shots: int = 4,
        documents: Sequence[Path] = (),
        limit: int = 0,
    ) -> BaselineReport:
        """Should I fine-tune at all? The same items by prompting, by retrieval, and tuned."""
        from residency.rounds.baseline import baseline

        return baseline(self, split=split, shots=shots, documents=documents, limit=limit)

    def bench(
        self,
        tasks: Sequence[str],
        *,
        models: Sequence[str] = ("base",),
        data: str = "",
        limit: int = 0,
        shots: int | None = None,
    ) -> BenchReport:
        """Public benchmarks of stored models; the later ones are compared with the first."""
        from residency.rounds.bench import bench

        return bench(self, tasks, models=models, data=data, limit=limit, shots=shots)

    def report(self, out: str | Path = "", *, run: str = "") -> Path:
        """One self-contained HTML file of the latest run, or of ``run``; where it was written.

        Raises:
            StoreError: nothing was run yet. UserError: the file cannot be written.
        """
        from residency.report import FILE_NAME, report

        return report(self.store, Path(out) if out else self.root / FILE_NAME, run=run)
