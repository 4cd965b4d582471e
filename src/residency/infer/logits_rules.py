"""What a model's settings do to the scores of the next token of one sequence.

The rules are transformers' processors, put together in the order of ``generate``
(``GenerationMixin._get_logits_processor``), so that the tokens are those of ``generate``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from residency.errors import ModelError
from residency.infer.generation_settings import FILE, GenerationSettings

Rule = Callable[[Tensor, Tensor], Tensor]
"""(ids [1, T], scores [1, vocabulary]) → scores [1, vocabulary]."""


class LogitsRules:
    """The rules of one sequence.

    Args:
        settings: the model's. prompt: the sequence's prompt. budget: most tokens after it.
        end_ids: every token that ends an answer here. device: where scores lie.
    """

    def __init__(
        self,
        settings: GenerationSettings,
        prompt: Sequence[int],
        budget: int,
        end_ids: Sequence[int],
        device: torch.device,
    ) -> None:
        self._prompt = list(prompt)
        self._device = device
        ids = torch.tensor([self._prompt], device=device)
        ends = torch.tensor(sorted(end_ids), device=device)
        self._rules = _build_rules(settings, ids, ends, len(prompt) + budget, device)
        self.draws_first, self.draws_last = _build_sampling_rules(settings, device)

    def adjust_scores(self, answer: Sequence[int], scores: Tensor) -> Tensor:
        """Scores [vocabulary] of the token that follows ``answer``, by the rules."""
        ids = torch.tensor([self._prompt + list(answer)], device=self._device)
        row = scores[None]
        for rule in self._rules:
            row = rule(ids, row)
        return row[0]


def check_rules(settings: GenerationSettings, vocabulary: int, where: str) -> None:
    """Try the rules once, on scores of zero.

    Raises:
        ModelError: a setting has a value that its rule refuses.
    """
    if not (settings.logits or settings.sampling):
        return
    try:
        rules = LogitsRules(settings, [0, 0], 4, [0], torch.device("cpu"))
        scores = rules.adjust_scores([0], torch.zeros(vocabulary))
        for rule in (*rules.draws_first, *rules.draws_last):
            rule(torch.zeros((1, 3), dtype=torch.long), scores[None])
    except (ValueError, TypeError, IndexError, RuntimeError, KeyError) as error:
        names = ", ".join([*settings.logits, *settings.sampling])
        raise ModelError(
            f"the model's own generation settings ({names}) cannot be followed: {error}",
            where=where,
            next_step=f"mend {FILE}",
        ) from None


def _build_rules(
    settings: GenerationSettings, prompt: Tensor, ends: Tensor, longest: int, device: torch.device
) -> list[Rule]:
    if not settings.logits:
        return []
    rules = _processors()
    length = prompt.shape[1]
    values = settings.logits
    where = {"device": device}
    builders: dict[str, Callable[[Any], Rule]] = {
        "sequence_bias": rules.SequenceBiasLogitsProcessor,
        "encoder_repetition_penalty": lambda v: rules.EncoderRepetitionPenaltyLogitsProcessor(
            penalty=v, encoder_input_ids=prompt
        ),
        "repetition_penalty": rules.RepetitionPenaltyLogitsProcessor,
        "no_repeat_ngram_size": rules.NoRepeatNGramLogitsProcessor,
        "encoder_no_repeat_ngram_size": lambda v: rules.EncoderNoRepeatNGramLogitsProcessor(
            v, prompt
        ),
        "bad_words_ids": lambda v: rules.NoBadWordsLogitsProcessor(v, ends),
        "min_length": lambda v: rules.MinLengthLogitsProcessor(v, ends, **where),
        "min_new_tokens": lambda v: rules.MinNewTokensLengthLogitsProcessor(
            length, v, ends, **where
        ),
        "forced_bos_token_id": rules.ForcedBOSTokenLogitsProcessor,
        "forced_eos_token_id": lambda v: rules.ForcedEOSTokenLogitsProcessor(longest, v, **where),
        "remove_invalid_values": lambda _: rules.InfNanRemoveLogitsProcessor(),
        "exponential_decay_length_penalty": lambda v: rules.ExponentialDecayLengthPenalty(
            tuple(v), ends, length
        ),
        "suppress_tokens": lambda v: rules.SuppressTokensLogitsProcessor(v, **where),
        "begin_suppress_tokens": lambda v: rules.SuppressTokensAtBeginLogitsProcessor(
            v, length + (length <= 1 and "forced_bos_token_id" in values), **where
        ),
    }
    return [build(values[name]) for name, build in builders.items() if name in values]


def _build_sampling_rules(
    settings: GenerationSettings, device: torch.device
) -> tuple[list[Rule], list[Rule]]:
    """What shapes the distribution before top-k and top-p, and what does after them."""
    values = settings.sampling
    if not values.keys() - {"top_k", "top_p"}:
        return [], []
    rules = _processors()
    first: dict[str, Callable[[Any], Rule]] = {"top_h": rules.TopHLogitsWarper}
    last: dict[str, Callable[[Any], Rule]] = {
        "min_p": rules.MinPLogitsWarper,
        "typical_p": rules.TypicalLogitsWarper,
        "epsilon_cutoff": rules.EpsilonLogitsWarper,
        "eta_cutoff": lambda v: rules.EtaLogitsWarper(v, device=device),
    }
    return (
        [build(values[name]) for name, build in first.items() if name in values],
        [build(values[name]) for name, build in last.items() if name in values],
    )


def _processors() -> Any:
    """transformers' module of processors, imported only for models that need it."""
    from transformers.generation import logits_process

    return logits_process
