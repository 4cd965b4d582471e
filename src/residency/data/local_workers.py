"""Work on blocks of rows in several processes of this machine, once there are many of them.

Each process reads blocks from its standard input and writes results to its standard output, so it
ends with the one that started it, however that ends. Nothing of the caller's program is run again in
it. Run as ``python -m residency.data.local_workers``; only this module starts it.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from queue import SimpleQueue
from typing import IO, Any, TypeVar

from residency.files.python_command import make_python_command

T = TypeVar("T")
R = TypeVar("R")

FIRST_BLOCKS = 10
"""Blocks that are done here before others are started: fewer are done sooner than a process is."""
MOST_WORKERS = 4
"""Each holds libraries of some 300 MB."""
_SIZE = struct.Struct(">Q")


class LocalWorkers:
    """A ``Spread`` over processes of this machine.

    What a process cannot do (it was killed, or something of the user's cannot be sent to it) is done
    here instead, where an error is the caller's. Use as a context manager.

    Args:
        workers: processes; by default one for each processor that this one may use.
    """

    def __init__(self, workers: int | None = None, *, first: int = FIRST_BLOCKS) -> None:
        self.workers = min(_count_processors(), MOST_WORKERS) if workers is None else workers
        self._first = first
        self._all: list[subprocess.Popen[bytes]] = []
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for process in self._all:
            process.kill()
        for process in self._all:
            process.communicate()
        self._all.clear()

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in the order of the items, which are taken as they are needed."""
        rest = iter(items)
        yield from map(function, islice(rest, self._first if self.workers > 1 else None))
        more = list(islice(rest, 1))
        if not more or not (sent := _pickle(function)):
            yield from map(function, chain(more, rest))
            return
        self._start(sent)
        waiting: deque[Future[R]] = deque()
        with ThreadPoolExecutor(self.workers) as threads:
            try:
                for item in chain(more, rest):
                    waiting.append(threads.submit(self._ask, function, item))
                    if len(waiting) > 2 * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _start(self, function: bytes) -> None:
        self.close()
        self._free = SimpleQueue()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for _ in range(self.workers):
            process = subprocess.Popen(
                make_python_command("residency.data.local_workers"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C is this process's to answer
            )
            self._all.append(process)
            _send(process.stdin, function)
            self._free.put(process)

    def _ask(self, function: Callable[[T], R], item: T) -> R:
        process = self._free.get()
        try:
            if process.poll() is None and (block := _pickle(item)):
                _send(process.stdin, block)
                answer = _receive(process.stdout)
                if answer:
                    return pickle.loads(answer)  # type: ignore[no-any-return]
        except (OSError, EOFError):
            process.kill()  # whatever it still writes belongs to a block that is done here
        finally:
            self._free.put(process)
        return function(item)


def _count_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pickle(value: Any) -> bytes:
    """Empty where the value cannot be sent."""
    try:
        return pickle.dumps(value)
    except Exception:  # pickling calls what it pickles
        return b""


def _send(stream: IO[bytes] | None, body: bytes) -> None:
    assert stream is not None
    try:
        stream.write(_SIZE.pack(len(body)) + body)
        stream.flush()
    except ValueError as error:  # closed
        raise EOFError from error


def _receive(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    size = stream.read(_SIZE.size)
    if len(size) < _SIZE.size:
        raise EOFError
    body = stream.read(_SIZE.unpack(size)[0])
    if len(body) < _SIZE.unpack(size)[0]:
        raise EOFError
    return body


def main() -> None:
    """Apply the function that comes first to every block that follows, until there is no more."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    function: Callable[[Any], Any] | None = None
    try:
        function = pickle.loads(_receive(asked))
    except EOFError:
        return
    except Exception:  # something of the user's is not there: every block is done by the caller
        function = None
    while True:
        try:
            block = _receive(asked)
        except EOFError:
            return
        try:
            answer = b"" if function is None else pickle.dumps(function(pickle.loads(block)))
        except Exception:  # the caller does it again, and tells
            answer = b""
        _send(answers, answer)


if __name__ == "__main__":
    main()
