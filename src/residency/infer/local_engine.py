"""The local engine: one loaded base, any adapter, prompts → answers, choices → log-likelihoods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from residency.chat.chat_format import ChatFormat
from residency.errors import ConfigError
from residency.infer.adapter_weights import replaced_weights
from residency.infer.choice_items import Item
from residency.infer.continuous_batch import Batcher
from residency.infer.draft_tokens import Draft, LookupDraft
from residency.infer.encode_requests import Encoder
from residency.infer.fused_model import FusedModel, why_not_fused
from residency.infer.fused_or_generic import (
    PROBE_TOLERANCE,
    check_generic_precision,
    check_precision,
    measure_difference,
)
from residency.infer.generation_settings import FILE, read_generation_settings
from residency.infer.generic_model import GenericModel
from residency.infer.logits_rules import LogitsRules, check_rules
from residency.infer.raw_text import complete_texts, score_whole_texts
from residency.infer.scoring import score_fused, score_generic
from residency.infer.sequences import Ending, Run, describe_foreign_token, name_random_stream
from residency.infer.shared_prefix import run_whole_sequence
from residency.infer.trunk_states import TrunkStates
from residency.interfaces import (
    Choice,
    ChoiceScore,
    Generation,
    Progress,
    ProgressEvent,
    Prompt,
    TextRequest,
    no_progress,
)
from residency.model.find_layers import first_trained_layer
from residency.model.free_memory import measure_free_memory
from residency.model.length_classes import read_context_length
from residency.model.load_model import load_model, load_tokenizer, pick_device
from residency.model.stored_model import StoredModel
from residency.model.thread_spinning import note_step
from residency.nouns.example import Message
from residency.nouns.response import Sampling
from residency.text.counts import write_count

_CACHE_BYTES = 4 << 30
"""Most memory for keys and values; fewer sequences are decoded together above it."""
_TRUNK_BYTES = 1 << 30
"""Most memory for what frozen layers made of earlier prompts and answers."""
_CACHE_SHARE, _TRUNK_SHARE = 4, 8
"""Neither takes more than this part of the memory that is free when it is made (a fourth, an eighth)."""


class LocalEngine:
    """Generates and scores with one base model in memory. An interfaces.Generator and interfaces.TextModel.

    Greedy answers equal ``transformers.generate`` token for token in fp32, the settings of the
    folder's ``generation_config.json`` included, and no answer depends on what else is in the batch.

    Args:
        base: Hugging Face folder. chat: the base's chat format.
        adapter: a PEFT adapter or full fine-tuned weights to begin with.
        threads: CPU threads, 0 for all. device: ``auto``, ``cpu``, ``cuda`` …
        batch_size: sequences decoded together.
        precision: of the matrix products. ``fp32`` is the reference; ``bf16`` and ``int8``
            (dynamic) are faster and approximate, see docs/inference.md for their quality.
        path: ``auto``, or ``generic`` to use the model's forward whatever its kind.
        layers: those that adapters may change, ``all`` or ``top-N``. What the layers below make
            of prompts and answers stays in memory, for the next model with the same prompts.
        known: the base's files are known (``BaseModel.known``). On CPU it is then read without
            transformers, which is imported when an adapter asks for it.

    Raises:
        ModelError: the base or the adapter cannot be loaded, or the base's generation settings
            cannot be followed.
    """

    def __init__(
        self,
        base: Path,
        chat: ChatFormat,
        *,
        adapter: Path | None = None,
        threads: int = 0,
        device: str = "auto",
        batch_size: int = 32,
        precision: str = "fp32",
        path: str = "auto",
        layers: str = "all",
        known: bool = False,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.chat = chat
        self.batch_size = batch_size
        self.precision = precision
        self.base = Path(base)
        self._device = pick_device(device)
        check_precision(precision, self._device.type)
        on_cpu = self._device.type == "cpu"
        stored = StoredModel(self.base) if known and on_cpu and path != "generic" else None
        config = (stored or self.model).config
        self.context: int = read_context_length(config) or 1 << 20
        self._vocabulary = int(config.get_text_config().vocab_size)
        self.settings = read_generation_settings(self.base)
        if stored is None and not self.settings.end_ids:  # then its class may know one
            self.settings = self.settings.add_ends(self.model.generation_config, self._vocabulary)
        check_rules(self.settings, self._vocabulary, str(self.base / FILE))
        self._fused_base: FusedModel | None = None
        self._adapter: Path | None = None
        depth = first_trained_layer(layers, config.get_text_config().num_hidden_layers)
        self._trunk: TrunkStates | None = None
        if depth > 0 and on_cpu:
            trunk_bytes = min(_TRUNK_BYTES, measure_free_memory() // _TRUNK_SHARE)
            self._trunk = TrunkStates(depth, trunk_bytes)
        self.why_generic = ""
        if stored is not None:
            with torch.inference_mode():
                self._fused_base = self._build_fused({}, stored)
        else:
            self.why_generic = "asked for" if path == "generic" else self._try_fused()
            if self.why_generic:
                check_generic_precision(precision, self.why_generic)
        self.fused: FusedModel | None = self._fused_base
        if adapter is not None:
            self.use_adapter(adapter)

    @cached_property
    def model(self) -> Any:
        """The base as a Hugging Face model, loaded when something asks for it."""
        return load_model(self.base, device=self._device)

    @cached_property
    def generic(self) -> GenericModel:
        """The base through its forward."""
        return GenericModel(self.model)

    # --- adapters --------------------------------------------------------------------------

    def use_adapter(self, adapter: Path | None) -> None:
        """Put an adapter (or full weights) instead of the present one; None is the bare base.

        The base is not loaded again, and without an adapter its outputs are bit for bit what
        they were.

        Raises:
            ModelError: the folder is no adapter of this base.
        """
        if adapter == self._adapter:
            return
        if self._fused_base is None:
            self.generic.replace_weights({})
            self._adapter = None
        weights = {} if adapter is None else replaced_weights(self.model, Path(adapter))
        if self._fused_base is not None:
            self.fused = self._fused_base if adapter is None else self._build_fused(weights)
        else:
            self.generic.replace_weights(weights)
        self._adapter = adapter

    def build_variant(self, adapter: Path) -> FusedModel:
        """The base with an adapter (or full weights) on the fused path, beside the present model.

        Raises:
            ModelError: the folder is no adapter of this base.
        """
        assert self._fused_base is not None
        return self._build_fused(replaced_weights(self.model, adapter))

    # --- generation ------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        *,
        on_result: Callable[[int, Generation], None] | None = None,
        progress: Progress = no_progress,
    ) -> list[Generation]:
        """Answers in the order of ``prompts``; ``on_result`` is called as each one ends.

        A prompt that leaves no room in the model's context gets ``finish="error"``, and so
        do prompts that the chat template refuses.
        """
        results: dict[int, Generation] = {}
        tokens = 0

        def report_answer(index: int, result: Generation) -> None:
            nonlocal tokens
            results[index] = result
            tokens += len(result.token_ids)
            if on_result is not None:
                on_result(index, result)
            progress(
                ProgressEvent("generate", len(results), len(prompts), detail={"tokens": tokens})
            )

        sampling = self.settings.complete_sampling(sampling)
        runs: list[Run] = []
        for index, prompt in enumerate(prompts):
            run = self._start_run(index, prompt, sampling)
            if isinstance(run, Generation):
                report_answer(index, run)
            else:
                runs.append(run)
        for ended in self.generate_steps(runs, self.make_ending(sampling), self._trunk):
            for run in ended:
                report_answer(run.index, run.to_generation())
        return [results[index] for index in range(len(prompts))]

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[str]:
        """The answer to one conversation, in pieces of text as they come.

        Text that may still turn out to begin a stop string is held back until it is sure.

        Raises:
            ConfigError: the conversation leaves no room in the model's context.
        """
        sampling = self.settings.complete_sampling(sampling)
        run = self._start_run(0, Prompt(tuple(messages)), sampling)
        if isinstance(run, Generation):
            raise ConfigError(run.error, next_step="start a new conversation")
        run.draft = LookupDraft(run.ids)
        ending = self.make_ending(sampling)
        held_back = max((len(s) - 1 for s in ending.stop), default=0)
        sent = ""
        for _ in self.generate_steps([run], ending, None):  # one run, and no other beside it
            if run.finish is not None:
                break
            text = self.chat.decode(run.tokens)
            # An unfinished character decodes as U+FFFD: wait for its last byte.
            sure = text[: min(len(text) - held_back, len(text.rstrip("\ufffd")))]
            if len(sure) > len(sent) and sure.startswith(sent):
                yield sure[len(sent) :]
                sent = sure
        if run.text.startswith(sent):
            if run.text != sent:
                yield run.text[len(sent) :]
        else:  # the format took back what looked like the answer (thinking)
            yield f"\n\n{run.text}"

    def generate_steps(
        self, runs: list[Run], ending: Ending, trunk: TrunkStates | None
    ) -> Iterator[list[Run]]:
        """Generates; yields after every step the runs that ended in it.

        Args:
            trunk: what frozen layers made of earlier texts, where the same ones may come again.
        """
        if not runs:
            return
        if self.fused is None:
            for ended in self.generic.generate_steps(runs, ending, self.batch_size):
                yield ended
                note_step()
            return
        if trunk is not None and self.fused.unchanged < trunk.depth:
            trunk = None  # this adapter changes lower layers than was said
        batcher = Batcher(self.fused, runs, ending, self._count_slots(runs), trunk)
        while batcher.waiting or batcher.active:
            yield batcher.step()
            note_step()

    def _count_slots(self, runs: Sequence[Run]) -> int:
        assert self.fused is not None
        longest = max(len(run.ids) + run.budget for run in runs)
        fused = self.fused
        token = 2 * len(fused.layers) * fused.kv_heads * fused.head_size
        per_slot = token * longest * fused.embedding.element_size()
        most = _CACHE_BYTES
        if self._device.type == "cpu":
            most = min(most, measure_free_memory() // _CACHE_SHARE)
        return max(1, min(self.batch_size, most // per_slot))

    def _start_run(self, index: int, prompt: Prompt, sampling: Sampling) -> Run | Generation:
        ids = self.chat.prompt_ids(prompt.messages)
        room = self.context - len(ids)
        wrong = describe_foreign_token(ids, self._vocabulary)
        if not ids or room < 1:
            wrong = f"the prompt has {write_count(len(ids), 'token')}, the model's context {self.context}"
        if wrong:
            return Generation(text="", finish="error", prompt_tokens=len(ids), error=wrong)
        budget = min(sampling.max_new_tokens, room)
        return Run(
            index=index,
            ids=ids,
            budget=budget,
            sampling=sampling,
            draft=Draft(prompt.draft),
            key=name_random_stream(prompt),
            rules=self.make_rules(ids, budget),
        )

    def make_rules(self, prompt: Sequence[int], budget: int) -> LogitsRules | None:
        """What the model's settings do to the scores of a prompt's answer; None: nothing."""
        if not (self.settings.logits or self.settings.sampling):
            return None
        ends = {*self.chat.end_ids, *self.settings.end_ids}
        return LogitsRules(self.settings, prompt, budget, sorted(ends), self._device)

    def make_ending(self, sampling: Sampling) -> Ending:
        """When an answer of a conversation is over."""
        stop = (*sampling.stop, *self.chat.stop, *self.settings.stop)
        return Ending(self.chat.end_ids, stop, self.chat.decode, self.settings.end_ids)

    # --- log-likelihoods -------------------------------------------------------------------

    def score(
        self, requests: Sequence[Sequence[Choice]], *, progress: Progress = no_progress
    ) -> list[list[ChoiceScore]]:
        """Log-likelihoods of continuations, one list of choices an item.

        Tokenisation, truncation and sums as in lm-evaluation-harness 0.4.13.

        Raises:
            SuiteError: a continuation without tokens, or longer than the model's context.
        """
        encoder = Encoder(self.tokenizer, self.context)
        items: list[Item] = []
        for index, choices in enumerate(requests):
            if choices:
                items.append(Item(index, [encoder.make_request(choice) for choice in choices]))
        results: dict[int, list[ChoiceScore]] = {}
        scored = (
            score_fused(self.fused, items)
            if self.fused is not None
            else score_generic(self.generic, items, self.batch_size)
        )
        for index, scores in scored:
            results[index] = scores
            progress(ProgressEvent("score", len(results), len(items)))
            note_step()
        return [results.get(index, []) for index in range(len(requests))]

    def complete(
        self, requests: Sequence[TextRequest], *, progress: Progress = no_progress
    ) -> list[str]:
        """What the model writes after raw texts, as ``raw_text.complete_texts`` says."""
        return complete_texts(self, requests, progress=progress)

    def score_texts(self, texts: Sequence[str], *, progress: Progress = no_progress) -> list[float]:
        """log p of whole texts (nats), as ``raw_text.score_whole_texts`` says."""
        return score_whole_texts(self, texts, progress=progress)

    def measure_lead(self, ids: Sequence[int]) -> float:
        """How far the likeliest next token is ahead of the second one, in nats."""
        with torch.inference_mode():
            if self.fused is not None:
                logits = self.fused.compute_logits(run_whole_sequence(self.fused, ids)[-1:])[0]
            else:
                logits = self.generic.compute_logits([list(ids)], 1)[0][0, -1]
            first, second = logits.topk(2).values.tolist()
        return float(first - second)

    @cached_property
    def tokenizer(self) -> Any:
        """The base's tokenizer, for text that no chat template has to do with."""
        return load_tokenizer(self.base)

    # --- the fused path --------------------------------------------------------------------

    def _try_fused(self) -> str:
        """Builds the fused model if it covers this architecture; else the reason why not."""
        reason = why_not_fused(self.model.config, self.context)
        if reason:
            return reason
        with torch.inference_mode():
            fused = self._build_fused({}, precision="fp32")
            difference = measure_difference(fused, self.generic)
            if difference > PROBE_TOLERANCE:
                return f"the fused forward differs from the model's own by {difference:.1e}"
            self._fused_base = fused if self.precision == "fp32" else self._build_fused({})
        return ""

    def _build_fused(
        self,
        weights: Mapping[str, Tensor],
        stored: StoredModel | None = None,
        precision: str = "",
    ) -> FusedModel:
        return FusedModel(
            stored or self.model,
            max_length=self.context,
            precision=precision or self.precision,
            weights=weights,
            base=self._fused_base,
        )
