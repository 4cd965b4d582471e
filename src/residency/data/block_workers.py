"""Where work on blocks of rows is done: on this machine, or over a Ray cluster (extra ``cluster``).

A *spread* is called like ``map``: with a function and items, each independent of the others, and
gives the results in the items' order. The function is sent once, with all that is heavy in it (a
tokenizer); the items are light. What the results say cannot depend on where they were made.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, Protocol, TypeVar

from residency.config.secret_url import reveal_url
from residency.data.local_workers import LocalWorkers
from residency.errors import MissingExtraError, ResidencyError, UserError
from residency.http.telemetry import silence_telemetry

T = TypeVar("T")
R = TypeVar("R")

BLOCKS_A_CPU = 4
"""Blocks sent at a time for each processor of the cluster."""


class Spread(Protocol):
    """Like ``map``: results in the order of the items, which are taken as they are needed."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results of ``function`` for every item."""
        ...


def run_here(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """In this process, one after the other."""
    return map(function, items)


@contextmanager
def spread_over(cluster: str) -> Iterator[Spread]:
    """Where the setting ``data.cluster`` says: ``""`` this machine's processors, ``local`` Ray's workers
    on this machine, anything else the address of a Ray cluster.

    Raises:
        MissingExtraError: Ray is not installed. ResidencyError: the cluster does not answer.
    """
    if not cluster:
        with LocalWorkers() as workers:
            yield workers
        return
    with RayCluster("" if cluster == "local" else reveal_url(cluster)) as ray_cluster:
        yield ray_cluster


def check_reachable(address: str) -> None:
    """What an address names answers. Ray itself tries for minutes; nothing is asked for ``auto``
    and this machine's own processes.

    Raises:
        UserError: it is no address. ResidencyError: nothing answers there within 10 seconds.
    """
    if address in ("", "auto", "local"):
        return
    scheme, _, place = address.rpartition("://")
    host, _, port = place.rpartition(":")
    if scheme not in ("", "ray") or not host or not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"{address!r} is no address of a Ray cluster",
            next_step="auto, local, host:port or ray://host:port",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise ResidencyError(
            f"the Ray cluster does not answer: {error}",
            where=address,
            next_step="start one with ray start --head, or leave the address out",
        ) from None


class RayCluster:
    """Over Ray Data. A block whose worker dies is given to another.

    The package has to be installed on every machine of the cluster. Only blocks in work are held
    in memory. Use as a context manager: the connection is closed at the end.

    Args:
        address: of a cluster that runs (``auto``: the one of this machine, ``host:port``,
            ``ray://…``); empty: workers on this machine alone.
        workers: processes, where the cluster is only this machine.

    Raises:
        MissingExtraError: Ray is not installed.
        ResidencyError: the cluster does not answer.
    """

    def __init__(self, address: str = "", *, workers: int | None = None) -> None:
        silence_telemetry()  # Ray reports usage to its makers
        try:
            ray: Any = import_module("ray")
            import_module("ray.data")
        except ImportError:
            raise MissingExtraError(
                "work over a cluster needs Ray", next_step='pip install "residency[cluster]"'
            ) from None
        self._ray = ray
        check_reachable(address)
        options: dict[str, Any] = {"address": address or "local"}
        if not address:  # "local": never a cluster that somebody else started on this machine
            options["num_cpus"] = workers
        try:
            ray.init(**options, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # Ray raises many kinds, for its timeout a bare Exception
            raise ResidencyError(
                f"the Ray cluster does not answer: {str(error).splitlines()[0]}",
                where=address,
                next_step="start one with ray start --head, or leave the address out",
            ) from None
        ray.data.DataContext.get_current().enable_progress_bars = False

    @property
    def address(self) -> str:
        """``host:port`` by which other processes find it."""
        return str(self._ray.get_runtime_context().gcs_address)

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in the order of the items, which are taken a wave at a time."""
        rest = iter(items)
        size = BLOCKS_A_CPU * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        while wave := list(islice(rest, size)):
            rows = [
                {"number": number, "block": pickle.dumps(item)} for number, item in enumerate(wave)
            ]
            blocks = self._ray.data.from_items(rows, override_num_blocks=len(rows))
            done = blocks.map(_Work(function)).take_all()
            for row in sorted(done, key=lambda row: int(row["number"])):
                yield pickle.loads(row["result"])


class _Work:
    """The function as Ray Data calls it: a row with a pickled block → a row with its result."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "number": row["number"],
            "result": pickle.dumps(self._function(pickle.loads(row["block"]))),
        }
