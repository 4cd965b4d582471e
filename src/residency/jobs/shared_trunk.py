"""The frozen layers of the rows that several trainings share, computed once and in the story's order.

States are computed in groups of rows, and the last bits depend on the group. So they are filled here,
one training's rows after the other's, as they would be without jobs; a job then finds all it needs.
"""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from residency.interfaces import ProgressEvent
from residency.jobs.job_store import JobStore
from residency.jobs.job_workspace import TRUNK
from residency.loop.encode_rows import encode_trained_rows
from residency.nouns.example import Example
from residency.project.workspace import Workspace

STAGE = "frozen layers"


class SharedTrunk:
    """The project's cache of frozen layers, for jobs.

    Args:
        threads: as the jobs have. travels: whether jobs run on machines that may not see the
            project's folder: then the states go through the job store.
    """

    def __init__(self, ws: Workspace, store: JobStore, threads: int, *, travels: bool) -> None:
        self._ws, self._store, self._threads, self._travels = ws, store, threads, travels

    def fill(self, trainings: Sequence[Sequence[Example]]) -> dict[str, dict[str, Any]]:
        """Compute what is missing for each training's rows; what its job is told of it.

        Returns:
            ``inputs`` and ``place`` of a job; empty where no layer is frozen.
        """
        ws = self._ws
        settings = ws.config.train
        if settings.method != "lora" or settings.layers == "all":
            return {}
        from residency.train.frozen_layers import compute_frozen_layers

        cache = ws.store.folder / "cache"
        for rows in trainings:
            compute_frozen_layers(
                ws.base.path,
                encode_trained_rows(ws, rows).rows,
                settings,
                cache / TRUNK,
                identity=ws.base.identity,
                threads=self._threads,
                device=ws.config.model.device,
                progress=lambda done, of: ws.progress(ProgressEvent(STAGE, done, of, "rows")),
            )
            gc.collect()
        if not self._travels:
            return {"place": {TRUNK: str(cache.resolve())}}
        with tempfile.TemporaryDirectory() as folder:
            if (cache / TRUNK).is_dir():
                shutil.copytree(cache / TRUNK, Path(folder) / TRUNK)
            return {"inputs": {TRUNK: self._store.put_folder(Path(folder))}}
