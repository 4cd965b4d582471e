"""The local engine against transformers itself, on tiny random models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from infer_models import CONFIGS, FUSED, engine, folder, prompts
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Choice, Generation, Prompt
from residency.nouns.response import Sampling


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a kind of model."""
    root = tmp_path_factory.mktemp("bases")
    return {kind: folder(root / kind, kind) for kind in CONFIGS}


def reference(
    local: LocalEngine, asked: Sequence[Prompt], budget: int
) -> list[tuple[tuple[int, ...], float]]:
    """What transformers.generate writes for each prompt alone, and its log-probability."""
    out = []
    ends = list(local.chat.end_ids)
    for prompt in asked:
        ids = torch.tensor([local.chat.prompt_ids(prompt.messages)])
        with torch.inference_mode():
            found = local.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=budget,
                eos_token_id=ends,
                pad_token_id=2,
                output_logits=True,
                return_dict_in_generate=True,
            )
        tokens = tuple(found.sequences[0, ids.shape[1] :].tolist())
        logits = torch.cat(found.logits).log_softmax(-1)
        total = sum(float(row[token]) for row, token in zip(logits, tokens, strict=True))
        out.append((tokens, total))
    return out


def tokens_of(answers: Sequence[Generation]) -> list[tuple[int, ...]]:
    """The ids of each answer."""
    return [answer.token_ids for answer in answers]


@pytest.mark.parametrize("kind", CONFIGS)
def test_greedy_equals_transformers_generate(kind: str, bases: dict[str, Path]) -> None:
    local = engine(bases[kind], batch_size=4)
    assert (local.fused is not None) == (kind in FUSED), local.why_generic
    asked = prompts()
    expected = reference(local, asked, 20)
    answers = local.generate(asked, Sampling(max_new_tokens=20))
    assert tokens_of(answers) == [tokens for tokens, _ in expected]
    for answer, (_, logprob) in zip(answers, expected, strict=True):
        assert answer.logprob == pytest.approx(logprob, abs=1e-3)
        assert answer.finish == ("stop" if answer.token_ids[-1] in local.chat.end_ids else "length")


def choices() -> list[list[Choice]]:
    """Items that share a prefix, items that do not, and choices with unlike contexts."""
    shots = "question: is the radio on? answer: yes\n\nquestion: can a fish fly? answer: no\n\n"
    items = [
        [
            Choice(f"{shots}question: number {n}? answer:", f" {word}")
            for word in ("a", "the bird", "x")
        ]
        for n in range(5)
    ]
    items.append([Choice("my lamp is", " on"), Choice("my lamp is", " broken and hums")])
    items.append([Choice("a radio", " hums"), Choice("no kettle", " hums")])
    items.append([Choice("", "the kettle"), Choice("", "the lamp")])
    items.append([Choice("order ", "1234"), Choice("order ", "12345")])
    return items


@pytest.mark.parametrize("kind", CONFIGS)
def test_log_likelihoods_equal_a_plain_forward(kind: str, bases: dict[str, Path]) -> None:
    local = engine(bases[kind], batch_size=3)
    token = local.tokenizer
    for item, scores in zip(choices(), local.score(choices()), strict=True):
        for choice, score in zip(item, scores, strict=True):
            context = choice.context.rstrip()
            head = token.encode(context) if context else [token.bos_token_id]
            whole = token.encode(choice.context + choice.continuation)
            tail = whole[len(head) :] if context else whole
            ids = torch.tensor([head + tail])
            with torch.inference_mode():
                logits = local.model(input_ids=ids).logits[0].log_softmax(-1)
            rows = logits[len(head) - 1 : -1]
            want = torch.tensor(tail)
            expected = rows.gather(1, want[:, None]).sum().item()
            assert score.logprob == pytest.approx(expected, abs=1e-4)
            assert score.tokens == len(tail)
            assert score.greedy == bool((rows.argmax(-1) == want).all())
