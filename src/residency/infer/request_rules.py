"""What the one who asks wants done to the scores of the next token: penalties and biases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class RepetitionCost:
    """OpenAI's penalties on tokens that the answer already holds (the prompt does not count).

    Args:
        presence: taken off once. frequency: taken off for each time.
    """

    def __init__(self, presence: float, frequency: float) -> None:
        self.presence, self.frequency = presence, frequency

    def __call__(self, answer: Sequence[int], scores: Tensor) -> Tensor:
        """Scores [vocabulary] after ``answer``."""
        counts = Counter(answer)
        if not counts:
            return scores
        ids = torch.tensor(list(counts), device=scores.device)
        times = torch.tensor(list(counts.values()), dtype=scores.dtype, device=scores.device)
        return scores.index_add(0, ids, -(self.presence + self.frequency * times))


class TokenBias:
    """A number added to the scores of some tokens; −100 forbids, 100 all but forces."""

    def __init__(self, biases: Mapping[int, float]) -> None:
        self.ids, self.values = list(biases), list(biases.values())

    def __call__(self, answer: Sequence[int], scores: Tensor) -> Tensor:
        """Scores [vocabulary] after ``answer``."""
        ids = torch.tensor(self.ids, dtype=torch.long, device=scores.device)
        values = torch.tensor(self.values, dtype=scores.dtype, device=scores.device)
        return scores.index_add(0, ids, values)
