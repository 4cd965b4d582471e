"""Jobs in several processes of this machine. A worker that dies is replaced, its job done again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from queue import Queue
from types import TracebackType
from typing import IO, Any

from residency.errors import UserError
from residency.files.python_command import make_python_command
from residency.interfaces import Progress, ProgressEvent, no_progress
from residency.jobs.job import Job, JobResult
from residency.jobs.run_jobs import Outcome
from residency.jobs.worker import unpack_error
from residency.model.free_memory import measure_free_memory

FREE_SHARE = 0.9
"""Share of the memory that is free at the start which jobs may take."""


class Processes:
    """``count`` workers, each with one job at a time; memory is shared out by the jobs' estimates.

    Args:
        address: of the job store. count: workers at most. memory: bytes that all may take
            together; 0: what is free now, less a tenth.
    """

    most_losses = 4

    def __init__(
        self, address: str, count: int, *, memory: int = 0, progress: Progress = no_progress
    ) -> None:
        self._address, self._count, self._progress = address, max(1, count), progress
        self._memory = memory or int(measure_free_memory() * FREE_SHARE)
        self._idle: list[_Worker] = []
        self._busy: dict[str, _Worker] = {}
        self._news: Queue[tuple[_Worker, Mapping[str, Any] | None]] = Queue()

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for worker in [*self._idle, *self._busy.values()]:
            worker.stop()

    def check(self, jobs: Sequence[Job]) -> None:
        """See ``Runner``."""
        for job in jobs:
            if job.resources.memory > self._memory:
                raise UserError(
                    f"it needs {format_memory(job.resources.memory)} by the estimate, and "
                    f"{format_memory(self._memory)} are free",
                    where=job.title or job.id,
                    next_step="free memory, leave this base out, or lower train.micro_tokens",
                )

    def has_room(self, job: Job) -> bool:
        """See ``Runner``."""
        if len(self._busy) >= self._count:
            return False
        used_memory = sum(w.job.resources.memory for w in self._busy.values() if w.job is not None)
        return not self._busy or used_memory + job.resources.memory <= self._memory

    def start(self, job: Job) -> None:
        """See ``Runner``."""
        worker = self._idle.pop() if self._idle else None
        if worker is None or worker.threads != job.resources.threads or not worker.is_alive():
            if worker is not None:
                worker.stop()
            worker = _Worker(self._address, job.resources.threads, self._news)
        self._busy[job.id] = worker
        worker.send(job)

    def wait(self) -> Sequence[Outcome]:
        """See ``Runner``."""
        while True:
            worker, line = self._news.get()
            job = worker.job
            if job is None or self._busy.get(job.id) is not worker:
                continue
            if line is not None and "progress" in line:
                stage, done, total, unit = line["progress"]
                name = stage if stage.startswith(job.title) else f"{job.title}: {stage}"
                self._progress(ProgressEvent(name, done, total, unit))
                continue
            del self._busy[job.id]
            if line is None:
                return [Outcome(job, "lost", why=worker.describe_end())]
            worker.job = None
            self._idle.append(worker)
            if "error" in line:
                return [Outcome(job, "failed", error=unpack_error(line["error"]))]
            return [Outcome(job, "done", JobResult(**line["result"]))]

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that have a job."""
        return [worker.process.pid for worker in self._busy.values()]


def format_memory(count: float) -> str:
    """Bytes as people read them: ``1.2 GiB``, ``640 MiB``."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


class _Worker:
    """One process; a thread reads what it says."""

    def __init__(
        self, address: str, threads: int, news: Queue[tuple[_Worker, Mapping[str, Any] | None]]
    ) -> None:
        self.threads = threads
        self.job: Job | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        count = str(max(1, threads))
        self.process = subprocess.Popen(
            make_python_command("residency.jobs.worker", address),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "OMP_NUM_THREADS": count, "TOKENIZERS_PARALLELISM": "false"},
            start_new_session=True,  # Ctrl-C goes to the parent, which ends its workers
        )
        threading.Thread(target=self._read, args=(news,), daemon=True).start()

    def send(self, job: Job) -> None:
        """Give it a job; where it is dead, its end is told by the reading thread."""
        self.job = job
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(job.to_dict()).encode() + b"\n")
            self.process.stdin.flush()

    def is_alive(self) -> bool:
        """Whether it can take another job."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it; what it was doing is not done."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def describe_end(self) -> str:
        """Why it died: the signal, or the last line that it wrote."""
        code = self.process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.stop()
        if code < 0:
            return f"signal {-code}" + (", out of memory?" if code == -9 else "")
        return lines[-1] if lines else f"exit code {code}"

    def _read(self, news: Queue[tuple[_Worker, Mapping[str, Any] | None]]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    news.put((self, json.loads(line)))
        news.put((self, None))
