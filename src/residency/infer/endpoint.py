"""Answers from any OpenAI-compatible server: vLLM, SGLang, llama.cpp, TGI, or a hosted one.

Nothing leaves the machine unless the user wrote the endpoint's URL. What a server does badly
(time-outs, 429, 5xx, answers cut in half or not JSON) is tried again with growing pauses; an
item that still fails comes back as an error, never as a wrong answer, and the others are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from residency.config import EndpointConfig
from residency.errors import ConfigError, EndpointError
from residency.types import (
    FinishReason,
    Generation,
    Message,
    Progress,
    ProgressEvent,
    Prompt,
    Sampling,
    no_progress,
)

_RETRIED = frozenset({408, 409, 425, 429})
_FATAL = frozenset({401, 403, 404, 405})
"""Wrong key, model or address: no other item would fare better."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_FINISH: Mapping[str | None, FinishReason] = {"stop": "stop", "length": "length"}


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


class EndpointGenerator:
    """A types.Generator over a chat-completions endpoint.

    ``calls`` lists what each request took, in order of completion.

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
        if not config.url.startswith(("http://", "https://")):
            raise ConfigError(
                f"the endpoint's url is {config.url!r}",
                next_step="set url to the server's base address, e.g. http://localhost:8080/v1",
            )
        headers = {}
        if config.key_env:
            key = os.environ.get(config.key_env, "")
            if not key:
                raise ConfigError(
                    f"the environment variable {config.key_env} with the API key is not set",
                    next_step=f"export {config.key_env}=…",
                )
            headers["Authorization"] = f"Bearer {key}"
        self.config = config
        self.url = config.url.rstrip("/") + "/chat/completions"
        self.calls: list[Call] = []
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
            EndpointError: the address, model or key is refused, or the server cannot be
                reached; what was answered before has been given to ``on_result``.
        """
        results: dict[int, Generation] = {}
        queue = iter(enumerate(prompts))
        running: dict[Future[tuple[Generation, Call, bool]], int] = {}
        unreached = 0
        self._stopped.clear()
        pool = ThreadPoolExecutor(self.config.concurrency, thread_name_prefix="endpoint")
        try:
            while True:
                while len(running) < self.config.concurrency:
                    item = next(queue, None)
                    if item is None:
                        break
                    running[pool.submit(self._ask, *item, sampling)] = item[0]
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index = running.pop(future)
                    result, call, reached = future.result()
                    self.calls.append(call)
                    unreached = 0 if reached else unreached + 1
                    if unreached >= self.config.concurrency or (not reached and len(prompts) == 1):
                        raise EndpointError(
                            f"cannot be reached: {call.error}",
                            where=self.config.url,
                            next_step="start the server, or correct the url; answers that came "
                            "are kept, the same command asks for the rest",
                        )
                    results[index] = result
                    if on_result is not None:
                        on_result(index, result)
                    progress(self._event(len(results), len(prompts)))
        finally:
            self._stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return [results[index] for index in range(len(prompts))]

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[str]:
        """The answer to one conversation in pieces of text, as the server sends them.

        Raises:
            EndpointError: refused, unreachable, or cut off in the middle (the pieces before
                the cut have been given out).
        """
        body = {**self._body(Prompt(tuple(messages)), sampling), "stream": True}
        ended = False
        try:
            with self._client.stream("POST", self.url, json=body) as response:
                if response.status_code != 200:
                    response.read()
                    raise self._error(_reason(response))
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
            raise self._error(_network(error)) from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._error(f"a piece of the stream cannot be read ({error})") from None
        if not ended:
            raise self._error("the stream ended before the answer did")

    # --- one request -----------------------------------------------------------------------

    def _ask(self, index: int, prompt: Prompt, sampling: Sampling) -> tuple[Generation, Call, bool]:
        """The answer or the error, what it took, and whether the server was reached."""
        body = self._body(prompt, sampling)
        began = time.perf_counter()
        what, reached, attempts = "", True, 0
        for attempt in range(self.config.retries + 1):
            if self._stopped.is_set():
                break
            attempts += 1
            sent = time.perf_counter()
            try:
                result, answer_tokens = self._send(body)
            except _TryAgainError as error:
                what, reached = error.what, error.reached
                if attempt < self.config.retries:
                    self._sleep(_pause(attempt, error.pause))
                continue
            except _RefusedError as error:
                what, reached = str(error), True
                break
            now = time.perf_counter()
            cost = (
                result.prompt_tokens * self.config.prompt_price
                + answer_tokens * self.config.answer_price
            ) / 1e6
            call = Call(index, now - began, attempts, result.prompt_tokens, answer_tokens, cost)
            generation = Generation(
                text=result.text,
                finish=result.finish,
                prompt_tokens=result.prompt_tokens,
                seconds=now - sent,
                error=result.error,
            )
            return generation, call, True
        seconds = time.perf_counter() - began
        failed = Generation(text="", finish="error", seconds=seconds, error=what)
        return failed, Call(index, seconds, attempts, error=what), reached

    def _send(self, body: Mapping[str, Any]) -> tuple[Generation, int]:
        try:
            response = self._client.post(self.url, json=body)
        except httpx.HTTPError as error:
            lost = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise _TryAgainError(_network(error), reached=not lost) from None
        code = response.status_code
        if code in _FATAL:
            raise self._error(_reason(response))
        if code in _RETRIED or code >= 500:
            raise _TryAgainError(_reason(response), _retry_after(response))
        if code != 200:
            raise _RefusedError(_reason(response))
        try:
            return _read(response.json())
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            text = response.text[:120]
            raise _TryAgainError(
                f"the answer is not a chat completion ({type(error).__name__}): {text!r}"
            ) from None

    def _body(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": [_message(m) for m in prompt.messages],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.temperature > 0:
            text = f"{sampling.seed}:{prompt.key}:{prompt.sample}"
            body["seed"] = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1
            body["top_p"] = sampling.top_p
            if sampling.top_k:
                body["top_k"] = sampling.top_k
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        return body

    def _error(self, what: str) -> EndpointError:
        return EndpointError(
            what, where=self.config.url, next_step="check url, model and key_env in the settings"
        )

    def _event(self, done: int, total: int) -> ProgressEvent:
        detail: dict[str, float | str] = {
            "tokens": float(sum(call.answer_tokens for call in self.calls)),
            "cost": sum(call.cost for call in self.calls),
            "failed": float(sum(1 for call in self.calls if call.error)),
        }
        return ProgressEvent("endpoint", done, total, detail=detail)


def _message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        out["tool_calls"] = [dict(call) for call in message.tool_calls]
    return out


def _read(raw: Any) -> tuple[Generation, int]:
    """The answer in a chat-completion object, and its number of tokens."""
    choice = raw["choices"][0]
    text, reason = choice["message"]["content"], choice.get("finish_reason")
    if text is None and choice["message"].get("tool_calls"):
        text = json.dumps(choice["message"]["tool_calls"], ensure_ascii=False)
    if not isinstance(text, str):
        raise TypeError("content is not text")
    usage = raw.get("usage") or {}
    finish = _FINISH.get(reason, "stop")
    error = ""
    if reason == "content_filter":
        finish, error = "error", "the server's content filter cut the answer"
    prompt_tokens = int(usage.get("prompt_tokens") or 0)
    result = Generation(text=text, finish=finish, prompt_tokens=prompt_tokens, error=error)
    return result, int(usage.get("completion_tokens") or 0)


def _reason(response: httpx.Response) -> str:
    """Status and the server's own words, in one line."""
    try:
        raw = response.json()
        inner = raw.get("error", raw)
        text = inner.get("message", inner) if isinstance(inner, dict) else inner
    except (ValueError, AttributeError):
        text = response.text
    line = " ".join(str(text).split())[:200]
    return f"HTTP {response.status_code} {response.reason_phrase}: {line}".rstrip(": ")


def _network(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, from a number or a date."""
    value = response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _pause(attempt: int, asked: float | None) -> float:
    """Doubling pauses with jitter, so that many clients do not come back at once."""
    own = _FIRST_PAUSE * float(2**attempt) * (0.75 + random.random() / 2)
    return min(_LONGEST_PAUSE, max(own, asked or 0.0))
