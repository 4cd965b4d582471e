"""Answers in the forms of OpenAI's API, whole and in pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from residency.infer.live_engine import PlainTokenizer
from residency.serve.answer_request import Answering, Choice
from residency.serve.read_request import CompletionRequest


class AnswerForm:
    """The JSON of one request's answers.

    Chat and plain completions differ in the shape of a choice and of log-probabilities.
    """

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.plain: PlainTokenizer | None = None
        request = answering.request
        self.is_chat = not isinstance(request, CompletionRequest)
        self.wants_logprobs = request.logprobs is not None and request.logprobs is not False  # type: ignore[attr-defined]
        self.echoes = isinstance(request, CompletionRequest) and bool(request.echo)
        self._noted = [0] * len(answering.choices)
        self._offsets = [0] * len(answering.choices)

    # --- whole -------------------------------------------------------------------------------

    def write_whole(self) -> dict[str, Any]:
        """The answer to a request that is not streamed."""
        kind = "chat.completion" if self.is_chat else "text_completion"
        choices = [self._write_choice(at) for at in range(len(self.answering.choices))]
        return self._frame(kind, choices, usage=self.write_usage())

    def _write_choice(self, at: int) -> dict[str, Any]:
        choice = self.answering.choices[at]
        body: dict[str, Any] = {"index": at, "finish_reason": choice.finish}
        if self.is_chat:
            body["message"] = {"role": "assistant", "content": choice.text.sent, "refusal": None}
        else:
            body["text"] = self._write_echo(at) + ("" if self._scores_only else choice.text.sent)
        body["logprobs"] = self._write_logprobs(at)
        return body

    def write_usage(self) -> dict[str, Any]:
        """Tokens of the request."""
        answering = self.answering
        written = 0 if self._scores_only else answering.answer_tokens
        return {
            "prompt_tokens": answering.prompt_tokens,
            "completion_tokens": written,
            "total_tokens": answering.prompt_tokens + written,
            "prompt_tokens_details": {"cached_tokens": answering.cached_tokens},
        }

    # --- in pieces ---------------------------------------------------------------------------

    def write_first(self) -> list[str]:
        """Events before the first token."""
        out = []
        for at in range(len(self.answering.choices)):
            if self.is_chat:
                out.append(self._write_event(at, {"role": "assistant", "content": ""}, None))
            elif self.echoes:
                out.append(self._write_event(at, self._write_echo(at), None))
        return out

    def write_piece(self, choice: Choice, piece: str) -> list[str]:
        """Events of one piece; the last one of a choice says why it ended."""
        at = self.answering.choices.index(choice)
        out = []
        logprobs = self._write_logprobs(at)
        if piece or logprobs is not None:
            delta: Any = {"content": piece} if self.is_chat else piece
            out.append(self._write_event(at, delta, None, logprobs))
        if choice.finish is not None:
            out.append(self._write_event(at, {} if self.is_chat else "", choice.finish))
        return out

    def write_last(self) -> list[str]:
        """Events after the last token."""
        options = self.answering.request.stream_options
        out = []
        if options is not None and options.include_usage:
            kind = "chat.completion.chunk" if self.is_chat else "text_completion"
            out.append(_to_event(self._frame(kind, [], usage=self.write_usage())))
        return [*out, "data: [DONE]\n\n"]

    def _write_event(self, at: int, delta: Any, finish: str | None, logprobs: Any = None) -> str:
        body = {"index": at, "finish_reason": finish, "logprobs": logprobs}
        body["delta" if self.is_chat else "text"] = delta
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return _to_event(self._frame(kind, [body]))

    # --- parts -------------------------------------------------------------------------------

    def _frame(self, kind: str, choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        answering = self.answering
        return {
            "id": answering.id,
            "object": kind,
            "created": int(answering.time),
            "model": answering.request.model,
            "system_fingerprint": answering.model.id if answering.model is not None else "",
            "choices": list(choices),
            **more,
        }

    @property
    def _scores_only(self) -> bool:
        """``echo`` with ``max_tokens: 0`` asks for the prompt's scores."""
        return self.echoes and self.answering.request.max_tokens == 0

    @property
    def _tokenizer(self) -> PlainTokenizer:
        return self.answering.service.live.plain

    def _write_echo(self, at: int) -> str:
        if not self.echoes:
            return ""
        return self._tokenizer.decode(self.answering.choices[at].run.ids)

    def _write_logprobs(self, at: int) -> dict[str, Any] | None:
        """Of the tokens since the last call; None where none are wanted, or none came."""
        if not self.wants_logprobs:
            return None
        choice = self.answering.choices[at]
        assert self.answering.ticket is not None
        first, last = self._noted[at], self.answering.ticket.states[at].tokens
        self._noted[at] = last
        if first == last:
            return None
        run = choice.run
        ids: list[int] = run.tokens[first:last]
        logprobs: list[float | None] = list(run.logprobs[first:last])
        tops: list[list[tuple[int, float]] | None] = list(run.tops[first:last])
        if self.is_chat:
            rows = zip(ids, run.logprobs[first:last], run.tops[first:last], strict=True)
            return {"content": [self._write_chat_token(*row) for row in rows], "refusal": None}
        if self._scores_only:
            ids, logprobs, tops = [], [], []
        if run.wants_prompt and first == 0:
            ids = [*run.ids, *ids]
            logprobs = [None, *run.prompt_logprobs, *logprobs]
            tops = [None, *run.prompt_tops, *tops]
        return self._write_text_tokens(at, ids, logprobs, tops)

    def _write_chat_token(
        self, token: int, logprob: float, tops: Sequence[tuple[int, float]]
    ) -> dict[str, Any]:
        return {
            **self._write_token(token, logprob),
            "top_logprobs": [self._write_token(*top) for top in tops],
        }

    def _write_token(self, token: int, logprob: float) -> dict[str, Any]:
        text = self._tokenizer.show([token])
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    def _write_text_tokens(
        self, at: int, ids: Sequence[int], logprobs: Sequence[float | None],
        tops: Sequence[Sequence[tuple[int, float]] | None],
    ) -> dict[str, Any]:  # fmt: skip
        texts = [self._tokenizer.show([token]) for token in ids]
        offsets, offset = [], self._offsets[at]
        for text in texts:
            offsets.append(offset)
            offset += len(text)
        self._offsets[at] = offset
        return {
            "tokens": texts,
            "token_logprobs": list(logprobs),
            "top_logprobs": [
                None if row is None else self._name_tops(row, token, logprob)
                for row, token, logprob in zip(tops, ids, logprobs, strict=True)
            ],
            "text_offset": offsets,
        }

    def _name_tops(
        self, tops: Sequence[tuple[int, float]], token: int, logprob: float | None
    ) -> dict[str, float]:
        """The likeliest tokens by their text, and the one that stands there, as OpenAI gives them.

        Where two tokens have one text, the likelier one keeps it.
        """
        out: dict[str, float] = {}
        for other, value in [*tops, *([(token, logprob)] if logprob is not None else [])]:
            out.setdefault(self._tokenizer.show([other]), value)
        return out


def _to_event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"


def write_error_event(body: dict[str, Any]) -> str:
    """An error in the middle of a stream."""
    return _to_event(body)
