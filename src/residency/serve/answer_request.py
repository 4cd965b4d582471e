"""A request for text from its arrival to its end: prepared, queued, followed, recorded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from residency.config.serve import ServeConfig
from residency.errors import TemplateError
from residency.infer.live_engine import LiveEngine
from residency.infer.live_run import LiveRun
from residency.nouns.example import Message
from residency.nouns.moderation_decision import ModerationDecision
from residency.serve.answer_settings import check_length, make_rules, read_sampling
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
        most = min(config.max_choices, self.service.scheduler.room)
        if request.n > most:
            raise refuse_parameter("n", f"at most {most} here.")
        if count * request.n > most:
            raise refuse_parameter("prompt", f"at most {most} answers to one request here.")
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
        sampling = read_sampling(
            request, self.service.config, self.service.temperature, request.max_completion_tokens
        )
        check_length(live, ids, "messages")
        self.prompts = [ids]
        tops = (request.top_logprobs or 0) if request.logprobs else None
        stops = (*sampling.stop, *live.engine.chat.stop, *live.engine.settings.stop)
        is_thinking = live.make_thinking_probe(ids)
        assert self.model is not None
        for sample in range(request.n):
            run = live.start_chat(
                messages, ids, sampling, sample=sample, model=self.model.key,
                rules=make_rules(request, live), tops=tops,
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
        sampling = read_sampling(
            request, self.service.config, self.service.temperature,
            default=DEFAULT_COMPLETION_TOKENS,
        )  # fmt: skip
        assert self.model is not None
        for prompt in self._read_prompts(request):
            check_length(live, prompt, "prompt")
            self.prompts.append(prompt)
            for sample in range(request.n):
                run = live.start_text(
                    prompt, sampling, sample=sample, model=self.model.key,
                    rules=make_rules(request, live), tops=request.logprobs,
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


_NO_LOGPROBS = "not given while answers are moderated: they would show text before it is judged."


def _never(ids: Sequence[int]) -> bool:
    return False


def _to_message(role: str, text: str) -> Message:
    if role == "user":
        return Message("user", text)
    return Message("assistant", text) if role == "assistant" else Message("system", text)
