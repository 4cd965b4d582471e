"""The local engine as a server uses it: several models of one base loaded, one live batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from residency.infer.draft_tokens import Draft, LookupDraft
from residency.infer.encode_requests import Encoder
from residency.infer.fused_model import FusedModel
from residency.infer.json_constraint import JsonConstraint, JsonGrammars
from residency.infer.live_fused import LiveFused
from residency.infer.live_generic import LiveGeneric
from residency.infer.live_run import LiveBatch, LiveRun
from residency.infer.local_engine import LocalEngine
from residency.infer.prompt_cache import PromptCache
from residency.infer.sequences import AnswerRule, Ending, name_random_stream
from residency.interfaces import Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

BASE = ""
"""The name of the bare base among the loaded models."""
OPEN_THINKING, CLOSE_THINKING = "<think>", "</think>"
_PLAIN_TAIL = 4
"""Tokens of a prompt that are decoded before its continuation, so that spaces stay."""


class PlainTokenizer:
    """A copy of a tokenizer that several threads may use: nothing in it ever changes.

    Args:
        tokenizer: a fast tokenizer of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.bos_token_id: int | None = tokenizer.bos_token_id
        self.eos_token_id: int | None = tokenizer.eos_token_id
        self.backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.backend.no_truncation()
        self.backend.no_padding()

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Ids of a text."""
        return list(self.backend.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, ids: int | Sequence[int]) -> str:
        """The text of ids, special tokens left out; of a single id, whatever it is."""
        if isinstance(ids, int):
            return self.show([ids])
        return str(self.backend.decode(list(ids), skip_special_tokens=True))

    def show(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens shown."""
        return str(self.backend.decode(list(ids), skip_special_tokens=False))


class LiveEngine:
    """Models loaded side by side, and the batch in which they answer.

    On the fused path all models share one batch, and layers that an adapter leaves alone are in
    memory once. On the generic path one model answers at a time.

    Args:
        engine: on the bare base. slots: runs answered at one time.
        cache_bytes: most memory for keys and values. prompt_bytes: most for earlier beginnings.
        tokenizer: the base's, where it is at hand (``BaseModel.tokenizer``); else it is loaded.
    """

    def __init__(
        self,
        engine: LocalEngine,
        *,
        slots: int,
        cache_bytes: int,
        prompt_bytes: int,
        tokenizer: Any = None,
    ) -> None:
        self.engine = engine
        self._tokenizer = tokenizer
        self.prompts = PromptCache(prompt_bytes)
        self._variants: dict[str, FusedModel] = {}
        self._folders: dict[str, Path | None] = {BASE: None}
        self.batch: LiveBatch
        if engine.fused is not None:
            self._variants[BASE] = engine.fused
            self.batch = LiveFused(
                self._variants.__getitem__, engine.fused, slots=slots,
                cache_bytes=cache_bytes, prompts=self.prompts,
            )  # fmt: skip
        else:
            self.batch = LiveGeneric(engine.generic, self._put_model, slots=slots)
        self.context = engine.context
        if isinstance(self.batch, LiveFused):
            self.context = min(self.context, self.batch.places)
        fused = engine.fused
        self.vocabulary: int = (
            fused.vocab if fused else int(engine.model.config.get_text_config().vocab_size)
        )

    # --- models ------------------------------------------------------------------------------

    @property
    def loaded(self) -> list[str]:
        """Names of the loaded models, the base's too."""
        return list(self._folders)

    def load_variant(self, name: str, adapter: Path) -> None:
        """Load a model under a name. On the fused path it may be called while a batch runs.

        Raises:
            ModelError: the folder is no adapter of this base.
        """
        if self.engine.fused is not None:
            self._variants[name] = self.engine.build_variant(adapter)
        self._folders[name] = adapter

    def unload_variant(self, name: str) -> None:
        """Forget a model that no run uses, and what it made of prompts."""
        self._variants.pop(name, None)
        self._folders.pop(name, None)
        self.prompts.forget_model(name)

    def _put_model(self, name: str) -> None:
        self.engine.use_adapter(self._folders[name])

    # --- requests ----------------------------------------------------------------------------

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation's prompt.

        Raises:
            TemplateError: the chat template refuses these messages.
        """
        return self.engine.chat.prompt_ids(messages)

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text with the tokenizer's special tokens."""
        return self._encoder.encode_text(text)

    def start_chat(
        self, messages: Sequence[Message], ids: list[int], sampling: Sampling, *, sample: int,
        model: str, rules: Sequence[AnswerRule] = (), tops: int | None = None,
    ) -> LiveRun:  # fmt: skip
        """A run that answers a conversation as ``LocalEngine.generate`` would."""
        sampling = self.engine.settings.complete_sampling(sampling)
        run = self._start(ids, sampling, sample, model, rules, tops)
        run.key = name_random_stream(Prompt(tuple(messages), sample=sample))
        run.ending = self.engine.make_ending(sampling)
        return run

    def start_text(
        self, ids: list[int], sampling: Sampling, *, sample: int, model: str,
        rules: Sequence[AnswerRule] = (), tops: int | None = None, wants_prompt: bool = False,
    ) -> LiveRun:  # fmt: skip
        """A run that continues plain text."""
        settings = self.engine.settings
        sampling = settings.complete_sampling(sampling)
        run = self._start(ids, sampling, sample, model, rules, tops)
        run.key = f"{','.join(map(str, ids))}:{sample}"
        run.wants_prompt = wants_prompt
        ends = (*self.engine.chat.end_ids, *settings.end_ids)
        stop = (*sampling.stop, *settings.stop)
        run.ending = Ending(ends, stop, self.make_plain_decode(ids))
        return run

    def _start(
        self, ids: list[int], sampling: Sampling, sample: int, model: str,
        rules: Sequence[AnswerRule], tops: int | None,
    ) -> LiveRun:  # fmt: skip
        budget = min(sampling.max_new_tokens, self.context - len(ids))
        # A rule may remember what it saw, and what is noted is noted of every row: both want no guess.
        guesses = not rules and tops is None
        return LiveRun(
            index=sample,
            ids=ids,
            budget=budget,
            sampling=sampling,
            draft=LookupDraft(ids) if guesses else Draft(),
            rules=self.engine.make_rules(ids, budget),
            own_rules=tuple(rules),
            wanted_tops=tops,
            model=model,
        )

    # --- tokens ------------------------------------------------------------------------------

    def make_plain_decode(self, prompt: Sequence[int]) -> Callable[[Sequence[int]], str]:
        """A function ids → text of what follows a prompt of plain text."""
        tail = list(prompt[-_PLAIN_TAIL:])
        before = self.plain.decode(tail)

        def decode_following(ids: Sequence[int]) -> str:
            text = self.plain.decode([*tail, *ids])
            return text[len(before) :] if text.startswith(before) else self.plain.decode(ids)

        return decode_following

    def make_thinking_probe(self, prompt: Sequence[int]) -> Callable[[Sequence[int]], bool]:
        """A function that says whether an answer's ids end within a thinking part."""
        if CLOSE_THINKING not in self.engine.chat.template:
            return lambda ids: False
        opened = self.plain.show(prompt[-_PLAIN_TAIL:]).rstrip().endswith(OPEN_THINKING)

        def is_thinking(ids: Sequence[int]) -> bool:
            text = self.plain.show(ids)
            inside = opened or text.lstrip().startswith(OPEN_THINKING)
            return (inside or not text.strip()) and CLOSE_THINKING not in text

        return is_thinking

    @cached_property
    def plain(self) -> PlainTokenizer:
        """The base's tokenizer for text that no chat template has to do with."""
        return PlainTokenizer(self._tokenizer or self.engine.tokenizer)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.plain, self.context)

    # --- JSON --------------------------------------------------------------------------------

    @cached_property
    def _grammars(self) -> JsonGrammars:
        ends = sorted({*self.engine.chat.end_ids, *self.engine.settings.end_ids})
        return JsonGrammars(self.plain.backend, self.vocabulary, ends)

    def constrain_json(self, schema: Mapping[str, Any]) -> JsonConstraint:
        """A rule that keeps one answer within a JSON schema.

        Raises:
            MissingExtraError: llguidance is not installed. DataError: the schema cannot be followed.
        """
        return self._grammars.constrain(schema)
