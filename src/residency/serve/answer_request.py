"""A request for text from its arrival to its end: prepared, queued, followed, recorded."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from residency.config.serve import ServeConfig
from residency.errors import DataError, MissingExtraError, TemplateError
from residency.infer.live_engine import LiveEngine
from residency.infer.live_run import LiveRun
from residency.infer.request_rules import RepetitionCost, TokenBias
from residency.infer.sequences import AnswerRule, describe_foreign_token
from residency.nouns.example import Message
from residency.nouns.moderation_decision import ModerationDecision
from residency.nouns.response import Sampling
from residency.serve.answer_text import AnswerText, judge_input
from residency.serve.api_errors import ApiError, refuse_parameter, report_defect, report_timeout
from residency.serve.catalogue import Catalogue, ServedModel
from residency.serve.hooks import Hooks, RequestRecord
from residency.serve.read_request import ChatRequest, CompletionRequest, GenerationRequest
from residency.serve.request_records import RequestRecords
from residency.serve.scheduler import Scheduler, Ticket

DEFAULT_COMPLETION_TOKENS = 16
"""Length of an answer to /v1/completions that names none; OpenAI's."""
FILTERED = "content_filter"


@dataclass(frozen=True)
class Service:
    """What every request needs."""

    live: LiveEngine
    scheduler: Scheduler
    catalogue: Catalogue
    config: ServeConfig
    hooks: Hooks
    records: RequestRecords
    temperature: float
    """Where a request names none: the one that the project measures with."""
    preparing: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "residency-prepare")
    )


@dataclass(eq=False)
class Choice:
    """One answer of a request."""

    run: LiveRun
    text: AnswerText
    finish: str | None = None


@dataclass(eq=False)
class Answering:
    """A request for text that is being answered.

    ``close`` must be called once, however it ends; it gives the slots back and writes the record.
    """

    service: Service
    request: GenerationRequest
    endpoint: str
    id: str
    came: float = field(default_factory=time.monotonic)
    time: float = field(default_factory=time.time)
    model: ServedModel | None = None
    choices: list[Choice] = field(default_factory=list)
    prompts: list[list[int]] = field(default_factory=list)
    messages: tuple[Message, ...] = ()
    decisions: list[ModerationDecision] = field(default_factory=list)
    ticket: Ticket | None = None
    first_token: float | None = None
    status: int = 200
    error: str = ""
    closed: bool = False

    async def begin(self) -> None:
        """Look the model up, judge and encode the prompt, and join the queue.

        Raises:
            ApiError: it is not answered.
        """
        service = self.service
        self.model = service.catalogue.find(self.request.model)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(service.preparing, self._prepare)
        runs = [choice.run for choice in self.choices]
        self.ticket = service.scheduler.submit(runs, self.model)

    async def follow(self) -> AsyncIterator[tuple[Choice, str]]:
        """Pieces of the answers as they may leave; a choice whose ``finish`` is set is over.

        Raises:
            ApiError: the server failed, or took too long.
        """
        assert self.ticket is not None
        deadline = self.came + self.service.config.timeout
        while any(choice.finish is None for choice in self.choices):
            try:
                await asyncio.wait_for(self.ticket.changed.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise report_timeout(self.service.config.timeout) from None
            self.ticket.changed.clear()
            if self.ticket.failed:
                raise report_defect()
            if self.first_token is None and any(state.tokens for state in self.ticket.states):
                self.first_token = time.monotonic() - self.came
            for choice, state in zip(self.choices, self.ticket.states, strict=True):
                if choice.finish is not None or not state.tokens:
                    continue
                tokens = choice.run.tokens[: state.tokens]
                if not (self.request.stream or state.finish):
                    continue
                piece = await choice.text.release(tokens, state.finish, state.text)
                choice.finish = FILTERED if choice.text.refused else state.finish
                if choice.text.refused:
                    choice.run.cancelled = True
                if piece or choice.finish is not None:
                    yield choice, piece

    def close(self, status: int | None = None, error: str = "") -> None:
        """The request is over; the first call counts."""
        if self.closed:
            return
        self.closed = True
        if self.ticket is not None:
            self.service.scheduler.finish(self.ticket)
        if status is not None:
            self.status, self.error = status, error
        self.service.records.add(self._make_record())

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts, each counted once."""
        return sum(map(len, self.prompts))

    @property
    def answer_tokens(self) -> int:
        """Written so far, all choices together."""
        states = self.ticket.states if self.ticket is not None else []
        return sum(state.tokens for state in states)

    @property
    def cached_tokens(self) -> int:
        """Of the prompts, those that were not computed again."""
        firsts = self.choices[:: self.request.n]
        return sum(choice.run.reused for choice in firsts)

    @property
    def _may_change(self) -> bool:
        """Whether moderation may change what the model writes."""
        return any(moderator.may_change for moderator in self.service.hooks.outputs)

    def _make_record(self) -> RequestRecord:
        ticket, texts = self.ticket, self.service.hooks.texts
        began = ticket.began if ticket is not None else None
        return RequestRecord(
            id=self.id,
            time=self.time,
            endpoint=self.endpoint,
            model=self.request.model if self.model is not None else "",
            model_id=self.model.id if self.model is not None else "",
            status=self.status,
            queue_seconds=0.0 if began is None or ticket is None else began - ticket.came,
            first_token_seconds=self.first_token,
            seconds=time.monotonic() - self.came,
            prompt_tokens=self.prompt_tokens,
            answer_tokens=self.answer_tokens,
            cached_tokens=self.cached_tokens,
            finish=tuple(choice.finish or "" for choice in self.choices),
            error=self.error,
            streamed=bool(self.request.stream),
            decisions=(*self.decisions, *(d for c in self.choices for d in c.text.decisions)),
            messages=self.messages if texts else None,
            answers=tuple(choice.text.sent for choice in self.choices) if texts else None,
        )

    # --- in the preparing thread -------------------------------------------------------------

    def _prepare(self) -> None:
        request, config = self.request, self.service.config
        count = len(request.prompts) if isinstance(request, CompletionRequest) else 1
        if request.n > config.max_choices:
            raise refuse_parameter("n", f"at most {config.max_choices} here.")
        if count * request.n > min(config.max_choices, self.service.scheduler.room):
            raise refuse_parameter(
                "prompt", f"at most {config.max_choices} answers to one request here."
            )
        if isinstance(request, ChatRequest):
            self._prepare_chat(request)
        elif isinstance(request, CompletionRequest):
            self._prepare_completion(request)

    def _prepare_chat(self, request: ChatRequest) -> None:
        live = self.service.live
        messages = [_to_message(m.role, m.text) for m in request.messages]
        messages = list(self._moderate(messages))
        if request.logprobs and self._may_change:
            raise refuse_parameter("logprobs", _NO_LOGPROBS, "unsupported_parameter")
        if request.top_logprobs is not None and not request.logprobs:
            raise refuse_parameter("top_logprobs", "needs logprobs: true.")
        try:
            ids = live.encode_chat(messages)
        except TemplateError as error:
            raise refuse_parameter("messages", error.what) from None
        sampling = self._read_sampling(
            request.max_completion_tokens, self.service.config.max_tokens
        )
        self._check_length(ids, "messages")
        self.prompts = [ids]
        tops = (request.top_logprobs or 0) if request.logprobs else None
        stops = (*sampling.stop, *live.engine.chat.stop, *live.engine.settings.stop)
        is_thinking = live.make_thinking_probe(ids)
        assert self.model is not None
        for sample in range(request.n):
            run = live.start_chat(
                messages, ids, sampling, sample=sample, model=self.model.key,
                rules=self._make_rules(request), tops=tops,
            )  # fmt: skip
            text = AnswerText(
                live.engine.chat.decode, stops, is_thinking, self.service.hooks.outputs
            )
            self.choices.append(Choice(run, text))

    def _prepare_completion(self, request: CompletionRequest) -> None:
        live, hooks = self.service.live, self.service.hooks
        wants_prompt = bool(request.echo) and request.logprobs is not None
        if request.logprobs is not None and self._may_change:
            raise refuse_parameter("logprobs", _NO_LOGPROBS, "unsupported_parameter")
        sampling = self._read_sampling(None, DEFAULT_COMPLETION_TOKENS)
        assert self.model is not None
        for prompt in self._read_prompts(request):
            self._check_length(prompt, "prompt")
            self.prompts.append(prompt)
            for sample in range(request.n):
                run = live.start_text(
                    prompt, sampling, sample=sample, model=self.model.key,
                    rules=self._make_rules(request), tops=request.logprobs,
                    wants_prompt=wants_prompt,
                )  # fmt: skip
                text = AnswerText(run.ending.decode, run.ending.stop, _never, hooks.outputs)
                self.choices.append(Choice(run, text))

    def _read_prompts(self, request: CompletionRequest) -> list[list[int]]:
        """Ids of each prompt; moderators see token ids as text."""
        live = self.service.live
        prompts = request.prompts
        for prompt in prompts:
            if not isinstance(prompt, str) and max(prompt) >= live.vocabulary:
                raise refuse_parameter("prompt", "a token id is beyond the vocabulary.")
        if not (self.service.hooks.inputs or self.service.hooks.texts):
            return [live.encode_text(p) if isinstance(p, str) else p for p in prompts]
        texts = [p if isinstance(p, str) else live.plain.show(p) for p in prompts]
        messages = self._moderate([Message("user", text) for text in texts])
        same = [new.text == old for new, old in zip(messages, texts, strict=True)]
        return [
            p if s and not isinstance(p, str) else live.encode_text(new.text)
            for p, s, new in zip(prompts, same, messages, strict=True)
        ]

    def _moderate(self, messages: Sequence[Message]) -> Sequence[Message]:
        self.messages = tuple(messages)
        model_messages, decisions = judge_input(self.service.hooks.inputs, messages)
        self.decisions += decisions
        if decisions and decisions[-1].action == "refuse":
            reason = decisions[-1].reason or decisions[-1].kind or "refused"
            raise ApiError(400, f"The request was refused: {reason}", code=FILTERED)
        return model_messages

    def _read_sampling(self, budget: int | None, default: int) -> Sampling:
        request, config = self.request, self.service.config
        if budget is not None and request.max_tokens not in (None, budget):
            raise refuse_parameter("max_tokens", "differs from max_completion_tokens.")
        wanted = budget if budget is not None else request.max_tokens
        name = "max_tokens" if budget is None else "max_completion_tokens"
        if wanted is not None and wanted > config.max_tokens:
            raise refuse_parameter(name, f"at most {config.max_tokens} here.")
        if wanted == 0 and not getattr(request, "echo", False):
            raise refuse_parameter(name, "at least 1.")
        seed = secrets.randbits(63) if request.seed is None else request.seed
        temperature = (
            self.service.temperature if request.temperature is None else request.temperature
        )
        return Sampling(
            max_new_tokens=max(1, min(default, config.max_tokens) if wanted is None else wanted),
            temperature=temperature,
            top_p=1.0 if request.top_p is None else request.top_p,
            top_k=request.top_k or 0,
            stop=request.stops,
            seed=seed,
        )

    def _check_length(self, ids: Sequence[int], param: str) -> None:
        context = self.service.live.context
        if not ids:
            raise refuse_parameter(param, "it holds no token.")
        foreign = describe_foreign_token(ids, self.service.live.vocabulary)
        if foreign:
            raise refuse_parameter(param, f"{foreign}.")
        if len(ids) >= context:
            raise ApiError(
                400, f"{param}: {len(ids)} tokens leave no room in the model's context of {context}.",
                param=param, code="context_length_exceeded",
            )  # fmt: skip

    def _make_rules(self, request: GenerationRequest) -> list[AnswerRule]:
        """What is done to the scores; fresh for each run, since some of it follows the answer."""
        rules: list[AnswerRule] = []
        presence, frequency = request.presence_penalty or 0.0, request.frequency_penalty or 0.0
        if presence or frequency:
            rules.append(RepetitionCost(presence, frequency))
        if request.logit_bias:
            rules.append(TokenBias(self._read_biases(request.logit_bias)))
        if isinstance(request, ChatRequest) and request.response_format is not None:
            schema = _read_schema(request)
            if schema is not None:
                try:
                    rules.append(self.service.live.constrain_json(schema))
                except MissingExtraError as error:
                    raise refuse_parameter(
                        "response_format", error.what, "unsupported_parameter"
                    ) from None
                except DataError as error:
                    raise refuse_parameter("response_format", error.what) from None
        return rules

    def _read_biases(self, biases: dict[str, float]) -> dict[int, float]:
        out = {}
        for token, value in biases.items():
            if not (token.isascii() and token.isdigit() and len(token) < 10):
                raise refuse_parameter("logit_bias", "its keys are token ids.")
            if int(token) >= self.service.live.vocabulary:
                raise refuse_parameter("logit_bias", "a token id is beyond the vocabulary.")
            out[int(token)] = value
        return out


_NO_LOGPROBS = "not given while answers are moderated: they would show text before it is judged."


def make_request_id(prefix: str) -> str:
    """A new id, e.g. ``chatcmpl-…``."""
    return f"{prefix}-{uuid.uuid4().hex}"


def _never(ids: Sequence[int]) -> bool:
    return False


def _to_message(role: str, text: str) -> Message:
    if role == "user":
        return Message("user", text)
    return Message("assistant", text) if role == "assistant" else Message("system", text)


def _read_schema(request: ChatRequest) -> dict[str, Any] | None:
    wanted = request.response_format
    assert wanted is not None
    if wanted.type == "json_schema":
        if wanted.json_schema is None:
            raise refuse_parameter("response_format", "json_schema is missing.")
        return wanted.json_schema.schema_
    return {"type": "object"} if wanted.type == "json_object" else None
