"""Answers from any OpenAI-compatible server: vLLM, SGLang, llama.cpp, TGI, or a hosted one.

Nothing leaves the machine unless the user wrote the endpoint's URL. What a server does badly
(time-outs, 429, 5xx, answers cut in half or not JSON) is tried again with growing pauses; an
item that still fails comes back as an error, never as a wrong answer, and the others stay.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from residency.config.endpoint import EndpointConfig
from residency.errors import EndpointError
from residency.http.chat_completions import (
    FORMATS,
    ROUTE,
    BrokenCompletionError,
    Completion,
    build_request,
    read_completion,
)
from residency.http.endpoint_client import (
    EndpointClient,
    RefusedError,
    TryAgainError,
    choose_pause,
)
from residency.http.event_stream import stream_answer
from residency.http.request_adaptation import RequestAdaptation
from residency.http.request_costs import Call, price_completion, sum_answer_tokens, sum_costs
from residency.interfaces import Generation, Progress, ProgressEvent, Prompt, no_progress
from residency.nouns.example import Message
from residency.nouns.response import Sampling
from residency.secrets import hide_secrets

_HOPELESS = 8
"""Items in a row that fail after all their retries: a server in trouble, not a bad item."""
_IN_FLIGHT_SECONDS = 10.0
"""How long a refusal of one request waits for the others that are on their way."""
_DOUBTFUL = frozenset({403, 404})
"""A wrong model or address, or one prompt that a filter refuses: another prompt tells which."""
_PROBE = Prompt((Message("user", "Hello"),), key="probe")
_START = (
    "start the server, or correct the url; answers that came are kept, "
    "the same command asks for the rest"
)
_WAIT = "look at the server and the url, then run the same command: it asks only for the rest"


@dataclass(frozen=True)
class _Outcome:
    """How one prompt ended. ``reached``: the server answered; ``refused``: with a 4xx."""

    generation: Generation
    call: Call
    reached: bool = True
    refused: bool = False


class EndpointGenerator:
    """An interfaces.Generator over a chat-completions endpoint.

    ``calls`` lists what each request took, in order of completion. ``refused_format`` is what
    the server said when it refused to keep to a JSON schema (the request then demands any JSON
    object, and at last by words alone); empty where it did not. ``notes`` says which settings the
    server refused and what was sent instead.

    Args:
        config: address, model, key, concurrency, time-out, retries and prices.
        transport: how httpx reaches the server (tests put a fake one here).
        sleep: waits between attempts.

    Raises:
        ConfigError: no URL, or the key's environment variable is not set.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._client = EndpointClient(config, ROUTE, transport=transport, sleep=sleep)
        self.config = config
        self.calls: list[Call] = []
        self.refused_format = ""
        self._adaptation = RequestAdaptation()
        self._form, self._form_holds = 0, False
        self._works: bool | None = None
        self._probing = threading.Lock()
        self._trouble: dict[int, str] = {}
        self._stopped = threading.Event()
        self._interruptible = sleep is None

    @property
    def url(self) -> str:
        """Where requests go, without what is secret in the address."""
        return self._client.shown_url

    @property
    def notes(self) -> list[str]:
        """What is sent otherwise than the settings say, since the server refuses it."""
        return list(self._adaptation.notes)

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def __enter__(self) -> EndpointGenerator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        """Answers in the order of ``prompts``; ``on_result`` is called as each one ends.

        ``token_ids`` stay empty: a server tells texts, not ids.

        Raises:
            EndpointError: the address, model or key is refused, the server cannot be reached,
                or nothing but errors comes; what was answered before has been given to
                ``on_result``.
        """
        results: dict[int, Generation] = {}
        ended, workers = self._start_workers(prompts, sampling)
        unreached = failed = 0
        wait_until = 0.0
        try:
            while len(results) < len(prompts):
                try:
                    index, outcome = ended.get(timeout=1.0)
                except queue.Empty:
                    progress(self._make_event(len(results), len(prompts)))
                    continue
                if isinstance(outcome, BaseException):
                    wait_until = time.monotonic() + _IN_FLIGHT_SECONDS
                    raise outcome
                self.calls.append(outcome.call)
                unreached = 0 if outcome.reached else unreached + 1
                failed = failed + 1 if outcome.call.error and not outcome.refused else 0
                what = outcome.call.error
                if unreached >= min(self.config.concurrency, len(prompts)):
                    raise self._client.make_error(f"cannot be reached: {what}", _START)
                if failed >= max(_HOPELESS, self.config.concurrency):
                    what = f"{failed} requests in a row failed, the last: {what}"
                    raise self._client.make_error(what, _WAIT)
                results[index] = outcome.generation
                if on_result is not None:
                    on_result(index, outcome.generation)
                progress(self._make_event(len(results), len(prompts)))
        except EndpointError:
            self._stopped.set()
            for worker in workers:  # answers on their way are paid for: they are worth a wait
                worker.join(max(0.0, wait_until - time.monotonic()))
            while on_result is not None and not ended.empty():
                index, outcome = ended.get()
                if isinstance(outcome, _Outcome) and not outcome.call.error:
                    self.calls.append(outcome.call)
                    on_result(index, outcome.generation)
            raise
        finally:
            self._stopped.set()
        return [results[index] for index in range(len(prompts))]

    def _start_workers(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> tuple[queue.SimpleQueue[tuple[int, _Outcome | BaseException]], list[threading.Thread]]:
        """The queue that answers come through, and the threads that ask.

        Daemons: after Ctrl-C or an error the process need not wait for requests in flight.
        """
        # Each call has a new event: a thread that an earlier call left behind stays stopped.
        stopped = self._stopped = threading.Event()
        if self._interruptible:
            self._client.sleep = stopped.wait
        self._trouble.clear()
        waiting: queue.SimpleQueue[tuple[int, Prompt]] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[int, _Outcome | BaseException]] = queue.SimpleQueue()
        for item in enumerate(prompts):
            waiting.put(item)

        def work_off() -> None:
            while not stopped.is_set():
                try:
                    index, prompt = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    ended.put((index, self._ask_until_answered(index, prompt, sampling, stopped)))
                except BaseException as error:
                    stopped.set()
                    ended.put((index, error))

        workers = [
            threading.Thread(target=work_off, name="endpoint", daemon=True)
            for _ in range(min(self.config.concurrency, len(prompts)))
        ]
        for worker in workers:
            worker.start()
        return ended, workers

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[str]:
        """The answer to one conversation in pieces of text, as the server sends them.

        Raises:
            EndpointError: refused, unreachable, or cut off in the middle (the pieces before
                the cut have been given out).
        """
        body = build_request(self.config.model, Prompt(tuple(messages)), sampling)
        body["stream"] = True
        while True:
            sent = self._adaptation.adapt(body)
            try:
                yield from stream_answer(self._client, sent)
            except RefusedError as error:
                if not self._adaptation.learn(sent, error.what):
                    raise self._client.make_error(error.what) from None
            except TryAgainError as error:
                raise self._client.make_error(error.what, _WAIT) from None
            else:
                return

    # --- one request -----------------------------------------------------------------------

    def _ask_until_answered(
        self, index: int, prompt: Prompt, sampling: Sampling, stopped: threading.Event
    ) -> _Outcome:
        """The answer or the error, and what it took."""
        began = time.perf_counter()
        what, reached, refused, attempts = "", True, False, 0
        for attempt in range(self.config.retries + 1):
            self._client.wait_turn()
            if stopped.is_set():
                break
            attempts += 1
            sent = time.perf_counter()
            try:
                completion = self._ask_once(prompt, sampling)
            except TryAgainError as error:
                what, reached = error.what, error.reached
                if attempt < self.config.retries:
                    self._trouble[index] = f"{what}; asking again"
                    if error.pause is None:  # what the server demands holds for all: wait_turn
                        self._client.sleep(choose_pause(attempt, None))
                continue
            except RefusedError as error:
                what, reached, refused = error.what, True, True
                break
            self._works = True
            self._trouble.pop(index, None)
            now = time.perf_counter()
            generation = replace(completion.generation, seconds=now - sent)
            call = Call(
                index,
                now - began,
                attempts,
                completion.prompt_tokens,
                completion.answer_tokens,
                price_completion(completion, self.config),
                error=generation.error,
            )
            return _Outcome(generation, call, refused=bool(generation.error))
        self._trouble.pop(index, None)
        seconds = time.perf_counter() - began
        nothing = Generation(text="", finish="error", seconds=seconds, error=what)
        return _Outcome(nothing, Call(index, seconds, attempts, error=what), reached, refused)

    def _ask_once(self, prompt: Prompt, sampling: Sampling) -> Completion:
        """One answer; JSON is demanded in the strictest way that the server takes."""
        if prompt.schema is None:
            return self._send(build_request(self.config.model, prompt, sampling))
        refused: RefusedError | None = None
        for form in range(self._form, len(FORMATS)):
            body = build_request(self.config.model, prompt, sampling, form=FORMATS[form])
            try:
                answer = self._send(body)
            except RefusedError as error:
                refused = refused or error
                if self._form_holds and form >= self._form:
                    break  # the server takes this form: it is the request that it refuses
                continue
            if refused is not None:
                self.refused_format = refused.what
            self._form, self._form_holds = max(form, self._form), True
            return answer
        raise refused or RefusedError("refused")

    def _send(self, body: Mapping[str, Any]) -> Completion:
        """Send a request in the form that the server takes, and read its answer."""
        while True:
            sent = self._adaptation.adapt(body)
            try:
                raw = self._client.post(sent)
                break
            except RefusedError as error:
                if self._adaptation.learn(sent, error.what):
                    continue
                if error.code in _DOUBTFUL and not self._answers_others():
                    raise self._client.make_error(error.what) from None
                raise
        try:
            return read_completion(raw)
        except BrokenCompletionError as error:
            what = hide_secrets(error.what)
            raise (TryAgainError(what) if error.passing else RefusedError(what)) from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            text = hide_secrets(str(raw))[:120]
            raise TryAgainError(
                f"the answer is not a chat completion ({type(error).__name__}): {text!r}"
            ) from None

    def _answers_others(self) -> bool:
        """Whether the server takes a harmless question: then it refused a prompt, not the model."""
        with self._probing:
            if self._works is None:
                body = build_request(self.config.model, _PROBE, Sampling(max_new_tokens=1))
                try:
                    self._client.post(self._adaptation.adapt(body))
                    self._works = True
                except RefusedError as error:
                    self._works = error.code not in _DOUBTFUL
                except TryAgainError:
                    return True
            return self._works

    def _make_event(self, done: int, total: int) -> ProgressEvent:
        detail: dict[str, float | str] = {
            "failed": float(sum(1 for call in self.calls if call.error)),
        }
        tokens, cost = sum_answer_tokens(self.calls), sum_costs(self.calls)
        if tokens is not None:
            detail["tokens"] = float(tokens)
        if cost is not None:
            detail["cost"] = cost
        if trouble := [*self._adaptation.notes[-1:], *self._trouble.values()]:
            detail["trouble"] = trouble[-1]
        return ProgressEvent("endpoint", done, total, detail=detail)
