"""Any Hugging Face causal LM, through its forward and its cache.

Slower than the fused path and the reference for it. Prompts of similar length are decoded
together, padded on the left; sequences leave the batch when they finish.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from residency.infer.choose_tokens import Row, pick_tokens
from residency.infer.rope_lengths import find_rope_lengths
from residency.infer.sequences import Ending, Run
from residency.model.length_classes import LengthClasses, forget_longest

_PROBE_LENGTHS = (4, 9)
"""Tokens of the sequence that is looked at, and of the one that it is padded to."""
_FULL_TOLERANCE, _HALF_TOLERANCE = 1e-3, 5e-2
"""Largest difference that is rounding, relative to the largest logit, in fp32 and below."""


class GenericModel:
    """A causal LM and what its forward accepts.

    Args:
        model: in eval mode; its weights are written only by ``replace``.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.accepts = set(inspect.signature(model.forward).parameters)
        self.device: torch.device = next(model.parameters()).device
        self.rope_lengths = find_rope_lengths(model)
        self._remembers_longest = LengthClasses(model.config.get_text_config()).dynamic is not None
        self._base_values: dict[str, Tensor] = {}

    @cached_property
    def one_by_one(self) -> bool:
        """Whether sequences go alone because padding before them changes what they give.

        Recurrent states cannot leave padding out, and some models count positions from it (the
        decoders of BART and its kin, which take no ``position_ids``), or mask other tokens than these
        once there is a cache (GIT); the latter are measured.
        """
        return bool(getattr(self.model, "_is_stateful", False)) or not self._ignores_padding()

    def _ignores_padding(self) -> bool:
        vocabulary = self.model.config.get_text_config().vocab_size
        short, long = ([(7 * at + 1) % vocabulary for at in range(n)] for n in _PROBE_LENGTHS)
        with torch.inference_mode():
            alone, padded = self._probe_steps([short]), self._probe_steps([short, long])
        full = next(self.model.parameters()).dtype == torch.float32
        difference = (alone - padded).abs().max() / alone.abs().max().clamp_min(1e-6)
        return float(difference) <= (_FULL_TOLERANCE if full else _HALF_TOLERANCE)

    def _probe_steps(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """[1 or 2, vocabulary] logits of the first sequence: after its tokens, and, where there is a
        cache, after one more."""
        first, past, mask = self.compute_logits(sequences, 1, True)
        if past is None:
            return first[0]
        mask = torch.cat([mask, mask.new_ones(len(sequences), 1)], 1)
        ids = mask.new_ones(len(sequences), 1)
        second = self._run_model(ids, mask, 1, past, True).logits[:, -1:].float()
        return torch.cat([first[0], second[0]])

    def replace_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Write these weights over the base's; those of the last call are put back first."""
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in self._base_values.items():
                parameters[name].copy_(value)
            self._base_values = {name: parameters[name].detach().clone() for name in weights}
            for name, value in weights.items():
                parameters[name].copy_(value)

    def compute_logits(
        self, sequences: Sequence[Sequence[int]], keep: int, cache: bool = False
    ) -> tuple[Tensor, Any, Tensor]:
        """Logits of the last ``keep`` positions of each sequence, padded on the left.

        Returns:
            logits [n, keep, vocabulary] in fp32, the model's cache (None unless wanted),
            and the attention mask [n, longest].
        """
        longest = max(len(s) for s in sequences)
        ids = torch.zeros((len(sequences), longest), dtype=torch.long)
        mask = torch.zeros((len(sequences), longest), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, longest - len(sequence) :] = torch.tensor(list(sequence))
            mask[row, longest - len(sequence) :] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        if self._remembers_longest:  # what was computed before must change nothing
            forget_longest(self.model)
        out = self._run_model(ids, mask, keep, None, cache)
        return out.logits[:, -keep:].float(), getattr(out, "past_key_values", None), mask

    def _run_model(self, ids: Tensor, mask: Tensor, keep: int, past: Any, cache: bool) -> Any:
        arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": cache}
        if "position_ids" in self.accepts:
            positions = (mask.cumsum(-1) - 1).clamp_min(0)
            arguments["position_ids"] = positions[:, -ids.shape[1] :]
        if "logits_to_keep" in self.accepts:
            arguments["logits_to_keep"] = keep
        if past is not None:
            arguments["past_key_values"] = past
        return self.model(**arguments)

    def generate_steps(
        self, runs: Sequence[Run], ending: Ending, batch: int
    ) -> Iterator[list[Run]]:
        """Generates; yields after every step the runs that ended in it."""
        size = 1 if self.one_by_one else batch
        waiting = sorted(runs, key=lambda run: len(run.ids))
        while waiting:
            active = [waiting.pop()]
            while waiting and len(active) < size and not self._grows_long(active[-1]):
                if self._grows_long(waiting[-1]):
                    break
                active.append(waiting.pop())
            yield from self._generate_batch(active, ending)

    def _grows_long(self, run: Run) -> bool:
        """Whether the run's rotary frequencies may differ from a short one's before it ends."""
        return self.rope_lengths.is_long(len(run.ids) + run.budget)

    def _starts_anew(self, run: Run) -> bool:
        """Whether ``generate`` computes the whole sequence again for the next token."""
        length = len(run.ids) + len(run.tokens)
        rope = self.rope_lengths
        return rope.computes_anew and rope.is_long(length) and not rope.is_long(length - 1)

    def _generate_batch(self, active: list[Run], ending: Ending) -> Iterator[list[Run]]:
        past: Any = None
        mask: Tensor | None = None
        while active:
            began = time.perf_counter()
            with torch.inference_mode():
                if past is None or mask is None or self._starts_anew(active[0]):
                    logits, past, mask = self.compute_logits(
                        [r.ids + r.tokens for r in active], 1, True
                    )
                else:
                    mask = torch.cat([mask, mask.new_ones(len(active), 1)], 1)
                    ids = torch.tensor([[run.tokens[-1]] for run in active], device=self.device)
                    out = self._run_model(ids, mask, 1, past, True)
                    logits, past = out.logits[:, -1:].float(), out.past_key_values
                tokens, logprobs = pick_tokens(logits[:, -1], [Row(run) for run in active])
            share = (time.perf_counter() - began) / len(active)
            for run, token, logprob in zip(active, tokens, logprobs, strict=True):
                run.seconds += share
                ending.accept_token(run, token, logprob)
            unfinished = [at for at, run in enumerate(active) if run.finish is None]
            ended = [run for run in active if run.finish is not None]
            if ended and unfinished:
                rows = torch.tensor(unfinished, device=self.device)
                mask = mask[rows]
                if hasattr(past, "batch_select_indices"):
                    past.batch_select_indices(rows)
                else:
                    past = None
            active = [active[at] for at in unfinished]
            yield ended
