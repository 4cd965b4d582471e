"""Answers from any OpenAI-compatible server: vLLM, SGLang, llama.cpp, TGI, or a hosted one.

Nothing leaves the machine unless the user wrote the endpoint's URL. What a server does badly
(time-outs, 429, 5xx, answers cut in half or not JSON) is tried again with growing pauses; an
item that still fails comes back as an error, never as a wrong answer, and the others are kept.
"""

from __future__ import annotations

import json
import queue
import random
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
    address,
    key_header,
    network_error,
    read_completion,
    reason,
    request_body,
    retry_after,
)
from residency.interfaces import Generation, Progress, ProgressEvent, Prompt, no_progress
from residency.nouns.example import Message
from residency.nouns.response import Sampling

_RETRIED = frozenset({408, 409, 425, 429})
_FATAL = frozenset({301, 302, 307, 308, 401, 402, 403, 404, 405})
"""Wrong key, model or address, or no credit: no other item would fare better."""
_HOPELESS = 8
"""Items in a row that fail after all their retries: a server in trouble, not a bad item."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0

_CHECK = "check the address, the model's name and the key"
_START = (
    "start the server, or correct the url; answers that came are kept, "
    "the same command asks for the rest"
)
_WAIT = "look at the server and the url, then run the same command: it asks only for the rest"


@dataclass(frozen=True)
class Call:
    """What one answered or failed request took.

    Attributes:
        index: the prompt's place. seconds: from first sending to the answer, pauses included.
        attempts: times it was sent. prompt_tokens, answer_tokens: as the server counted them.
        cost: by the prices of the settings, in their currency. error: empty when answered.
    """

    index: int
    seconds: float
    attempts: int
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: float = 0.0
    error: str = ""


class _TryAgainError(Exception):
    """The server may do better next time; ``pause`` is what it asked for, in seconds."""

    def __init__(self, what: str, pause: float | None = None, *, reached: bool = True) -> None:
        super().__init__(what)
        self.what, self.pause, self.reached = what, pause, reached


class _RefusedError(Exception):
    """This request will never succeed; others may."""


@dataclass(frozen=True)
class _Asked:
    """How one prompt ended. ``reached``: the server answered; ``refused``: by a 4xx of its own."""

    generation: Generation
    call: Call
    reached: bool = True
    refused: bool = False


class EndpointGenerator:
    """An interfaces.Generator over a chat-completions endpoint.

    ``calls`` lists what each request took, in order of completion. ``refused_format`` is what
    the server said when it refused to keep to a JSON schema (it is then asked for any JSON
    object, and at last by words alone); empty where it did not.

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
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        headers = key_header(config)
        self.config = config
        self.url = address(config)
        self.calls: list[Call] = []
        self.refused_format = ""
        self._form, self._form_holds = 0, False
        self._trouble: dict[int, str] = {}
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(config.timeout),
            transport=transport,
            limits=httpx.Limits(max_connections=config.concurrency),
        )

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
        ended = self._start(prompts, sampling)
        unreached = failed = 0
        try:
            while len(results) < len(prompts):
                try:
                    index, asked = ended.get(timeout=1.0)
                except queue.Empty:
                    progress(self._event(len(results), len(prompts)))
                    continue
                if isinstance(asked, BaseException):
                    raise asked
                self.calls.append(asked.call)
                unreached = 0 if asked.reached else unreached + 1
                failed = failed + 1 if asked.call.error and not asked.refused else 0
                what = asked.call.error
                if unreached >= min(self.config.concurrency, len(prompts)):
                    raise self._error(f"cannot be reached: {what}", _START)
                if failed >= max(_HOPELESS, self.config.concurrency):
                    raise self._error(f"{failed} requests in a row failed, the last: {what}", _WAIT)
                results[index] = asked.generation
                if on_result is not None:
                    on_result(index, asked.generation)
                progress(self._event(len(results), len(prompts)))
        except EndpointError:
            while on_result is not None and not ended.empty():  # answers that came meanwhile
                index, asked = ended.get()
                if isinstance(asked, _Asked) and not asked.call.error:
                    self.calls.append(asked.call)
                    on_result(index, asked.generation)
            raise
        finally:
            self._stopped.set()
        return [results[index] for index in range(len(prompts))]

    def _start(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> queue.SimpleQueue[tuple[int, _Asked | BaseException]]:
        """Threads that ask, and the queue that their answers come through.

        Daemons: after Ctrl-C or an error the process need not wait for requests in flight.
        """
        # Each call has its own event: a thread that an earlier call left behind stays stopped.
        stopped = threading.Event()
        if self._sleep == self._stopped.wait:
            self._sleep = stopped.wait
        self._stopped = stopped
        self._trouble.clear()
        todo: queue.SimpleQueue[tuple[int, Prompt]] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[int, _Asked | BaseException]] = queue.SimpleQueue()
        for item in enumerate(prompts):
            todo.put(item)

        def work() -> None:
            while not stopped.is_set():
                try:
                    index, prompt = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    ended.put((index, self._ask(index, prompt, sampling)))
                except BaseException as error:
                    stopped.set()
                    ended.put((index, error))

        for _ in range(min(self.config.concurrency, len(prompts))):
            threading.Thread(target=work, name="endpoint", daemon=True).start()
        return ended

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[str]:
        """The answer to one conversation in pieces of text, as the server sends them.

        Raises:
            EndpointError: refused, unreachable, or cut off in the middle (the pieces before
                the cut have been given out).
        """
        body = request_body(self.config.model, Prompt(tuple(messages)), sampling)
        body["stream"] = True
        ended = False
        try:
            with self._client.stream("POST", self.url, json=body) as response:
                if response.status_code != 200:
                    response.read()
                    raise self._error(reason(response))
                for line in response.iter_lines():
                    if not line.startswith("data:"):
                        continue
                    data = line.removeprefix("data:").strip()
                    if data == "[DONE]":
                        ended = True
                        break
                    choice = json.loads(data)["choices"][:1]
                    for part in choice:
                        ended = ended or part.get("finish_reason") is not None
                        if piece := (part.get("delta") or {}).get("content"):
                            yield piece
        except httpx.HTTPError as error:
            raise self._error(network_error(error)) from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._error(f"a piece of the stream cannot be read ({error})") from None
        if not ended:
            raise self._error("the stream ended before the answer did")

    # --- one request -----------------------------------------------------------------------

    def _ask(self, index: int, prompt: Prompt, sampling: Sampling) -> _Asked:
        """The answer or the error, and what it took."""
        stopped = self._stopped
        began = time.perf_counter()
        what, reached, refused, attempts = "", True, False, 0
        for attempt in range(self.config.retries + 1):
            if stopped.is_set():
                break
            attempts += 1
            sent = time.perf_counter()
            try:
                result, answer_tokens = self._answer(prompt, sampling)
            except _TryAgainError as error:
                what, reached = error.what, error.reached
                if attempt < self.config.retries:
                    self._trouble[index] = f"{what}; asking again"
                    self._sleep(_pause(attempt, error.pause))
                continue
            except _RefusedError as error:
                what, reached, refused = str(error), True, True
                break
            self._trouble.pop(index, None)
            now = time.perf_counter()
            cost = (
                result.prompt_tokens * self.config.prompt_price
                + answer_tokens * self.config.answer_price
            ) / 1e6
            call = Call(
                index,
                now - began,
                attempts,
                result.prompt_tokens,
                answer_tokens,
                cost,
                error=result.error,
            )
            return _Asked(replace(result, seconds=now - sent), call, refused=bool(result.error))
        self._trouble.pop(index, None)
        seconds = time.perf_counter() - began
        failed = Generation(text="", finish="error", seconds=seconds, error=what)
        return _Asked(failed, Call(index, seconds, attempts, error=what), reached, refused)

    def _answer(self, prompt: Prompt, sampling: Sampling) -> tuple[Generation, int]:
        """One answer; JSON is asked for in the strictest way that the server takes."""
        if prompt.schema is None:
            return self._send(request_body(self.config.model, prompt, sampling))
        refused: _RefusedError | None = None
        for place in range(self._form, len(FORMATS)):
            body = request_body(self.config.model, prompt, sampling, form=FORMATS[place])
            try:
                answer = self._send(body)
            except _RefusedError as error:
                refused = refused or error
                if self._form_holds and place >= self._form:
                    break  # the server takes this form: it is the request that it refuses
                continue
            if refused is not None:
                self.refused_format = str(refused)
            self._form, self._form_holds = max(place, self._form), True
            return answer
        raise refused or _RefusedError("refused")

    def _send(self, body: Mapping[str, Any]) -> tuple[Generation, int]:
        try:
            response = self._client.post(self.url, json=body)
        except httpx.HTTPError as error:
            lost = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise _TryAgainError(network_error(error), reached=not lost) from None
        code = response.status_code
        if code in _FATAL:
            raise self._error(reason(response))
        if code in _RETRIED or code >= 500:
            raise _TryAgainError(reason(response), retry_after(response))
        if code != 200:
            raise _RefusedError(reason(response))
        try:
            return read_completion(response.json())
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            text = response.text[:120]
            raise _TryAgainError(
                f"the answer is not a chat completion ({type(error).__name__}): {text!r}"
            ) from None

    def _error(self, what: str, next_step: str = _CHECK) -> EndpointError:
        return EndpointError(what, where=self.config.url, next_step=next_step)

    def _event(self, done: int, total: int) -> ProgressEvent:
        detail: dict[str, float | str] = {
            "tokens": float(sum(call.answer_tokens for call in self.calls)),
            "cost": sum(call.cost for call in self.calls),
            "failed": float(sum(1 for call in self.calls if call.error)),
        }
        if trouble := list(self._trouble.values()):
            detail["trouble"] = trouble[-1]
        return ProgressEvent("endpoint", done, total, detail=detail)


def _pause(attempt: int, asked: float | None) -> float:
    """Doubling pauses with jitter, so that many clients do not come back at once."""
    own = _FIRST_PAUSE * float(2**attempt) * (0.75 + random.random() / 2)
    return min(_LONGEST_PAUSE, max(own, asked or 0.0))
