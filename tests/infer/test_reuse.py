"""Drafts and kept states of frozen layers: they save work and never change an answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from infer_models import engine, folder, prompts
from residency.infer import continuous_batch as batching
from residency.infer import shared_prefix
from residency.infer.draft_tokens import MOST, Draft, LookupDraft
from residency.infer.fused_model import FusedModel
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Generation, Prompt
from residency.nouns.response import Sampling

GREEDY = Sampling(max_new_tokens=24)
WARM = Sampling(max_new_tokens=24, temperature=0.9, top_p=0.95, top_k=50, seed=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def tune(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, list[int]], Path]:
    """Writes a LoRA adapter on some layers that changes what the model says."""
    from peft import LoraConfig, get_peft_model

    from residency.model.load_model import load_model

    def make(seed: int, layers: list[int]) -> Path:
        at = tmp_path_factory.mktemp("adapter")
        torch.manual_seed(seed)
        settings = LoraConfig(
            r=4,
            lora_alpha=16,
            target_modules=["q_proj", "v_proj", "down_proj"],
            layers_to_transform=layers,
        )
        wrapped = get_peft_model(load_model(base, device="cpu"), settings)
        with torch.no_grad():
            for name, value in wrapped.named_parameters():
                if "lora_B" in name:
                    value.normal_(std=0.2)
        wrapped.save_pretrained(at)
        return at

    return make


def same(left: list[Generation], right: list[Generation]) -> None:
    """Equal ids and texts, log-probabilities equal to rounding."""
    assert [a.token_ids for a in left] == [b.token_ids for b in right]
    assert [(a.text, a.finish) for a in left] == [(b.text, b.finish) for b in right]
    for a, b in zip(left, right, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-3)


def drafted(asked: list[Prompt], answers: list[Generation]) -> list[Prompt]:
    """The same prompts with these answers as drafts."""
    pairs = zip(asked, answers, strict=True)
    return [Prompt(p.messages, key=p.key, sample=p.sample, draft=a.token_ids) for p, a in pairs]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(layer, tokens) of every layer that any fused model runs."""
    seen: list[tuple[int, int]] = []
    plain = FusedModel.run_layers

    def counted(
        self: FusedModel, x: torch.Tensor, positions: Any, attend: Any, layers: range, *rest: Any
    ) -> torch.Tensor:
        seen.extend((layer, len(x)) for layer in layers)
        return plain(self, x, positions, attend, layers, *rest)

    monkeypatch.setattr(FusedModel, "run_layers", counted)
    return seen


def tokens_at(work: list[tuple[int, int]], layer: int) -> int:
    return sum(tokens for at, tokens in work if at == layer)


# --- drafts ------------------------------------------------------------------------------------


def replay(answer: list[int], draft: list[int] | Draft) -> tuple[int, int]:
    """Forwards and guessed tokens that a model which writes ``answer`` needs with this draft."""
    guesser = draft if isinstance(draft, Draft) else Draft(draft)
    written, forwards, guessed = 0, 0, 0
    while written < len(answer):
        guess = guesser.guess_tokens(len(answer) - written - 1)
        right = 0
        while right < len(guess) and guess[right] == answer[written + right]:
            right += 1
        written += right + 1
        guesser.record_guess(answer[:written], len(guess), right)
        forwards += 1
        guessed += len(guess)
    return forwards, guessed


def test_a_draft_is_found_again_after_what_was_changed_added_or_left_out() -> None:
    rng = random.Random(0)
    answer = [rng.randrange(1000) for _ in range(120)]
    whole, _ = replay(answer, answer)
    assert whole <= 6  # 9, 17, 33, 33, … tokens
    for draft in (
        [*answer[:50], 5000, *answer[51:]],
        [*answer[:50], 5000, 5001, 5002, *answer[50:]],
        [*answer[:50], *answer[53:]],
    ):
        forwards, guessed = replay(answer, draft)
        assert forwards < 20  # without finding the place again: 70
        assert guessed < len(answer) + MOST


def test_a_draft_of_another_answer_costs_little() -> None:
    rng = random.Random(1)
    answer, draft = ([rng.randrange(1000) for _ in range(120)] for _ in range(2))
    forwards, guessed = replay(answer, draft)
    assert forwards == 120
    assert guessed < 20
    assert replay(answer, []) == (120, 0)


def test_what_a_prompt_says_is_guessed_in_an_answer_that_repeats_it() -> None:
    rng = random.Random(2)
    prompt = [rng.randrange(1000) for _ in range(200)]
    fields = [7, *prompt[20:40], 8, *prompt[120:140], 9, *prompt[60:80]]
    forwards, guessed = replay(fields, LookupDraft(prompt))
    assert forwards < 30  # of 63 tokens; three pieces begin anew
    assert guessed < len(fields) + 3 * MOST
    line = [rng.randrange(1000) for _ in range(12)]
    looped, _ = replay(line * 10, LookupDraft(prompt))
    assert looped < 12 + 20  # an answer repeats itself, too
    unlike = [rng.randrange(1000, 2000) for _ in range(120)]
    assert replay(unlike, LookupDraft(prompt)) == (120, 0)
    pairs = [t for n in range(60) for t in (*prompt[3 * n : 3 * n + 2], 5000 + n)]
    forwards, guessed = replay(pairs, LookupDraft(prompt))  # every match misleads
    assert forwards == len(pairs) and guessed < 20
    for short in ([], [3]):
        assert replay(unlike, LookupDraft(short)) == (120, 0)


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
@pytest.mark.parametrize("batch", [1, 3, 9])
def test_a_draft_with_a_difference_saves_steps_and_changes_nothing(
    base: Path, sampling: Sampling, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = engine(base, batch_size=batch)
    asked = prompts(9)
    steps = 0
    plain = batching.Batcher._decode_step

    def counted(self: batching.Batcher) -> None:
        nonlocal steps
        steps += len(self.active)
        plain(self)

    monkeypatch.setattr(batching.Batcher, "_decode_step", counted)
    answers = local.generate(asked, sampling)
    undrafted, steps = steps, 0
    changed = []
    for at, prompt in enumerate(drafted(asked, answers)):
        ids = list(prompt.draft)
        ids[len(ids) // 2 : len(ids) // 2 + at % 2] = [(ids[len(ids) // 2] + 7) % 400] * (at % 3)
        changed.append(Prompt(prompt.messages, key=prompt.key, draft=tuple(ids)))
    same(answers, local.generate(changed, sampling))
    assert steps < undrafted / 2


# --- kept states of frozen layers --------------------------------------------------------------


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
@pytest.mark.parametrize("batch", [1, 4, 9])
def test_kept_states_never_change_an_answer(
    base: Path, tune: Callable[[int, list[int]], Path], sampling: Sampling, batch: int
) -> None:
    """Base, two tuned models and the base again, each answer the draft of the next."""
    first, second = tune(1, [1]), tune(2, [1])
    keeps = engine(base, batch_size=batch, layers="top-1")
    plain = engine(base, batch_size=batch)
    asked = prompts(9)
    before: list[Generation] = []
    seen = set()
    for adapter in (None, first, second, first, None):
        keeps.use_adapter(adapter)
        plain.use_adapter(adapter)
        expected = plain.generate(asked, sampling)
        same(keeps.generate(drafted(asked, before) if before else asked, sampling), expected)
        seen.add(expected[0].token_ids)
        before = expected
    assert len(seen) == 3


def test_prompts_pass_the_frozen_layers_once(
    base: Path, tune: Callable[[int, list[int]], Path], work: list[tuple[int, int]]
) -> None:
    local = engine(base, layers="top-1")
    asked = prompts(9)
    answers = local.generate(asked, GREEDY)
    work.clear()
    local.generate(drafted(asked, answers), GREEDY)
    prefix = shared_prefix.count_shared_tokens([local.chat.prompt_ids(p.messages) for p in asked])
    unfed = sum(a.finish == "stop" for a in answers)  # an end token was never fed
    assert tokens_at(work, 0) <= prefix + unfed
    assert tokens_at(work, 1) > sum(len(a.token_ids) for a in answers)
    work.clear()
    local.use_adapter(tune(3, [1]))
    tuned = local.generate(asked, GREEDY)
    assert tokens_at(work, 0) <= prefix + sum(len(a.token_ids) for a in tuned)


def test_kept_states_serve_some_of_the_prompts_and_longer_answers(base: Path) -> None:
    """A call with fewer prompts shares a longer beginning; a longer budget goes on."""
    asked = prompts(9)
    local, plain = engine(base, layers="top-1"), engine(base)
    local.generate(asked, Sampling(max_new_tokens=5))
    for some in (asked[3:4], asked[::3], asked[::-1]):
        expected = plain.generate(some, GREEDY)
        same(local.generate(some, GREEDY), expected)
        same(local.generate(drafted(some, expected), Sampling(max_new_tokens=5)),
             plain.generate(some, Sampling(max_new_tokens=5)))  # fmt: skip


def test_pain_19_another_prompt_finds_no_kept_states(
    base: Path, work: list[tuple[int, int]]
) -> None:
    from residency.chat.chat_format import ChatFormat
    from residency.model.load_model import load_tokenizer

    local = engine(base, layers="top-1")
    asked = prompts(3)
    local.generate(asked, GREEDY)
    assert local._trunk is not None
    template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"
    )
    local.chat = ChatFormat(load_tokenizer(base), template)
    work.clear()
    again = local.generate(asked, GREEDY)
    assert tokens_at(work, 0) == tokens_at(work, 1)
    fresh = engine(base)
    fresh.chat = local.chat
    same(again, fresh.generate(asked, GREEDY))


def test_an_adapter_of_lower_layers_uses_and_leaves_no_kept_states(
    base: Path, tune: Callable[[int, list[int]], Path]
) -> None:
    local, plain = engine(base, layers="top-1"), engine(base)
    asked = prompts(5)
    bare = local.generate(asked, GREEDY)
    wide = tune(4, [0, 1])
    for model in (local, plain):
        model.use_adapter(wide)
    same(local.generate(asked, GREEDY), plain.generate(asked, GREEDY))
    local.use_adapter(None)
    same(local.generate(asked, GREEDY), bare)


def test_pain_16_kept_states_stay_within_their_memory(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residency.infer.local_engine._TRUNK_BYTES", 60_000)
    local = engine(base, layers="top-1")
    assert local._trunk is not None
    asked = prompts(11)
    first = local.generate(asked, GREEDY)
    trunk = local._trunk
    kept = list(trunk._entries.values())
    assert 0 < len(kept) < len(asked)
    held = sum(t.untyped_storage().nbytes() for k in kept for t in (k.states, k.keys, k.values))
    assert held == trunk.size <= 60_000
    same(local.generate(drafted(asked, first), GREEDY), first)


def test_a_conversation_is_not_kept(base: Path) -> None:
    local = engine(base, layers="top-1")
    assert local._trunk is not None
    text = "".join(local.stream(prompts(1)[0].messages, GREEDY))
    assert local._trunk.size == 0
    assert local.generate(prompts(1), GREEDY)[0].text == text
    assert local._trunk.size > 0


def test_nothing_is_kept_where_every_layer_may_change(base: Path) -> None:
    assert LocalEngine.__init__.__kwdefaults__["layers"] == "all"
    assert engine(base)._trunk is None
    assert engine(base, layers="top-2")._trunk is None
