"""The thread that computes: takes requests from the server's loop, and tells it of every token.

The loop never touches torch, and this thread never waits for a client. Models are loaded in a third
thread, while the others go on answering.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from residency.errors import StoreError
from residency.infer.live_engine import BASE, LiveEngine
from residency.infer.live_run import LiveRun
from residency.model.thread_spinning import note_step, run_in_ending_thread
from residency.serve.api_errors import ApiError, report_full_queue
from residency.serve.catalogue import ServedModel

log = logging.getLogger("residency.serve")


class RunState(NamedTuple):
    """How far a run is. Replaced as a whole, so that a reader never sees half of a step."""

    tokens: int = 0
    finish: str | None = None
    text: str = ""


@dataclass(eq=False)
class Ticket:
    """A request's runs, and where the loop waits for them."""

    runs: list[LiveRun]
    model: ServedModel
    loop: asyncio.AbstractEventLoop
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    states: list[RunState] = field(default_factory=list)
    came: float = field(default_factory=time.monotonic)
    began: float | None = None
    failed: bool = False

    def __post_init__(self) -> None:
        self.states = [RunState() for _ in self.runs]

    @property
    def done(self) -> bool:
        """Whether all its runs are over."""
        return self.failed or all(state.finish is not None for state in self.states)


class Scheduler:
    """Runs a live engine for many requests.

    Args:
        queue: answers that may wait beside those in a slot. models: most trained models loaded.
    """

    def __init__(self, live: LiveEngine, *, slots: int, queue: int, models: int) -> None:
        self.live = live
        self.room = slots + queue
        self.slots = slots
        self.most_models = models
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._open: set[Ticket] = set()  # of the loop's thread
        self._by_run: dict[LiveRun, Ticket] = {}  # of the computing thread
        self._usage: dict[str, float] = {}
        self._loading: dict[str, list[Ticket]] = {}
        self._loaded = {BASE}
        self._load_lock = threading.Lock()
        self._run_seconds = 1.0
        self._stopped = False
        self._thread = threading.Thread(target=self._compute, name="residency-compute", daemon=True)
        self._thread.start()

    # --- on the loop -------------------------------------------------------------------------

    @property
    def open_runs(self) -> int:
        """Answers in a slot or waiting for one."""
        return sum(len(ticket.runs) for ticket in self._open)

    @property
    def waiting_runs(self) -> int:
        """Answers that wait for a slot."""
        return sum(not run.started for ticket in self._open for run in ticket.runs)

    def submit(self, runs: Sequence[LiveRun], model: ServedModel) -> Ticket:
        """Take a request's runs. ``finish`` must be called for what is returned.

        Raises:
            ApiError: there is no room, or no room for its model.
        """
        if self.open_runs + len(runs) > self.room:
            rounds = (self.open_runs - self.slots) / self.slots
            raise report_full_queue(min(60.0, self._run_seconds * max(1.0, rounds)))
        ticket = Ticket(list(runs), model, asyncio.get_running_loop())
        self._usage[model.key] = ticket.came
        if model.key in self._loading:
            self._loading[model.key].append(ticket)
        elif model.key not in self._loaded and model.find_adapter is not None:
            self._start_loading(model.key, model.find_adapter, ticket)
        else:
            self._post(lambda: self._take(ticket))
        self._open.add(ticket)
        return ticket

    def finish(self, ticket: Ticket) -> None:
        """Nobody waits for this request any more: what is still being written leaves its slot."""
        if ticket not in self._open:
            return
        self._open.discard(ticket)
        if ticket.done:
            seconds = time.monotonic() - ticket.came
            self._run_seconds += 0.1 * (seconds - self._run_seconds)
        for run in ticket.runs:
            run.cancelled = True
        self._post(lambda: None)

    def stop(self) -> None:
        """End the threads; runs in hand are dropped."""
        self._stopped = True
        self._post(lambda: None)
        self._thread.join(timeout=30)

    def preload(self, model: ServedModel) -> None:
        """Load a model before the first request, while the caller waits.

        Raises:
            ModelError: it cannot be loaded.
        """
        if model.find_adapter is not None and model.key not in self._loaded:
            adapter = model.find_adapter()
            run_in_ending_thread(lambda: self.live.load_variant(model.key, adapter))
            self._loaded.add(model.key)

    # --- loading -----------------------------------------------------------------------------

    def _start_loading(self, key: str, find_adapter: Callable[[], Path], ticket: Ticket) -> None:
        self._make_model_room()
        self._loading[key] = [ticket]
        loop = ticket.loop

        def load() -> None:
            error = ""
            try:
                adapter = find_adapter()  # fetched from the team where it is not on this machine
                with self._load_lock:
                    self.live.load_variant(key, adapter)
            except Exception as problem:
                error = type(problem).__name__
                told = f": {problem.what}" if isinstance(problem, StoreError) else ""
                log.error("a model could not be loaded: %s%s", error, told)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._end_loading, key, error)

        threading.Thread(target=load, name="residency-load", daemon=True).start()

    def _end_loading(self, key: str, error: str) -> None:
        tickets = self._loading.pop(key)
        if error:
            for ticket in tickets:
                ticket.failed = True
                ticket.changed.set()
            return
        self._loaded.add(key)
        for ticket in tickets:
            self._post(lambda ticket=ticket: self._take(ticket))  # type: ignore[misc]

    def _make_model_room(self) -> None:
        """Drop the model that was used longest ago, where there are too many."""
        trained = [key for key in self._loaded if key != BASE]
        if len(trained) + len(self._loading) < self.most_models:
            return
        used = {ticket.model.key for ticket in self._open}
        idle = [key for key in trained if key not in used]
        if not idle:
            raise ApiError(
                503, "As many models as the server can hold are being asked. Try again later.",
                kind="server_error", code="models_busy", retry_after=self._run_seconds,
            )  # fmt: skip
        oldest = min(idle, key=lambda key: self._usage.get(key, 0.0))
        self._loaded.discard(oldest)
        self._post(lambda: self.live.unload_variant(oldest))

    # --- in the computing thread -------------------------------------------------------------

    def _post(self, action: Callable[[], None]) -> None:
        with self._wake:
            self._inbox.append(action)
            self._wake.notify()

    def _take(self, ticket: Ticket) -> None:
        runs = [run for run in ticket.runs if not run.cancelled]
        self._by_run.update((run, ticket) for run in runs)
        self.live.batch.add(runs)  # from here on a step that fails fails the ticket too

    def _compute(self) -> None:
        batch = self.live.batch
        while not self._stopped:
            with self._wake:
                while not (self._inbox or batch.active_count or batch.waiting_count):
                    self._wake.wait()
                actions = list(self._inbox)
                self._inbox.clear()
            try:
                while actions:
                    actions.pop(0)()
                if batch.active_count or batch.waiting_count:
                    self._publish(batch.step())
                    note_step()
            except Exception as error:
                log.error("a step failed: %s", type(error).__name__)
                self._fail(batch.clear())

    def _publish(self, changed: Sequence[LiveRun]) -> None:
        """Let the loop see what a step gave."""
        now = time.monotonic()
        tickets: set[Ticket] = set()
        for run in changed:
            ticket = self._by_run.get(run)
            if ticket is None:
                continue  # cancelled a step ago
            if ticket.began is None:
                ticket.began = now
            finish = "cancelled" if run.cancelled and run.finish is None else run.finish
            ticket.states[ticket.runs.index(run)] = RunState(len(run.tokens), finish, run.text)
            tickets.add(ticket)
            if finish is not None:
                del self._by_run[run]
        for run in [run for run in self._by_run if run.cancelled and run.started]:
            del self._by_run[run]
        self._notify(tickets)

    def _fail(self, runs: Sequence[LiveRun]) -> None:
        tickets = {self._by_run.pop(run) for run in runs if run in self._by_run}
        for ticket in tickets:
            ticket.failed = True
        self._notify(tickets)

    def _notify(self, tickets: set[Ticket]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[Ticket]] = {}
        for ticket in tickets:
            loops.setdefault(ticket.loop, []).append(ticket)
        for loop, tickets_of_loop in loops.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_set_all, tickets_of_loop)


def _set_all(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        ticket.changed.set()
