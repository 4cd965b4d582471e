"""A live batch: whenever a request joins, whatever stands beside it, its answer is the offline one."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from infer_models import engine as open_engine
from infer_models import folder
from infer_models import prompts as keyed_prompts
from residency.infer import live_fused
from residency.infer.draft_tokens import Draft, LookupDraft
from residency.infer.live_engine import BASE, LiveEngine
from residency.infer.live_run import LiveRun
from residency.infer.local_engine import LocalEngine
from residency.infer.request_rules import RepetitionCost, TokenBias
from residency.interfaces import Choice, Generation, Prompt
from residency.nouns.response import Sampling

GREEDY = Sampling(max_new_tokens=16)
WARM = Sampling(max_new_tokens=16, temperature=0.9, top_p=0.95, top_k=50, seed=5)
KINDS = ("fused", "generic")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def adapters(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One adapter of the last layer alone, one of every layer, and one of the output too."""
    from peft import LoraConfig, get_peft_model

    from residency.model.load_model import load_model

    out = []
    last = load_model(base, device="cpu").config.num_hidden_layers - 1
    for number, layers in enumerate(([last], None)):
        at = tmp_path_factory.mktemp(f"adapter{number}")
        torch.manual_seed(number)
        config = LoraConfig(
            r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"],
            layers_to_transform=layers,
        )  # fmt: skip
        wrapped = get_peft_model(load_model(base, device="cpu"), config)
        with torch.no_grad():
            for name, value in wrapped.named_parameters():
                if "lora_B" in name:
                    value.normal_(std=0.3)
        wrapped.save_pretrained(at)
        out.append(at)
    return out


@functools.cache
def engine(base: Path, path: str = "auto") -> LocalEngine:
    """One engine a path for the whole file: a live batch leaves it as it was."""
    return open_engine(base, path=path)


def prompts(count: int) -> list[Prompt]:
    """Conversations without a key: as clients ask."""
    return [replace(prompt, key="") for prompt in keyed_prompts(count)]


def open_live(base: Path, kind: str, slots: int = 4, places: int = 0) -> LiveEngine:
    local = engine(base) if kind == "fused" else engine(base, path="generic")
    size = 1 << 30
    if places and local.fused is not None:
        f = local.fused
        size = places * 2 * len(f.layers) * f.kv_heads * f.head_size * 4
    return LiveEngine(local, slots=slots, cache_bytes=size, prompt_bytes=1 << 24)


def start(live: LiveEngine, prompt: Prompt, sampling: Sampling, model: str = BASE) -> LiveRun:
    ids = live.encode_chat(prompt.messages)
    return live.start_chat(prompt.messages, ids, sampling, sample=prompt.sample, model=model)


def answer_all(live: LiveEngine, runs: Sequence[LiveRun], seed: int = 0) -> None:
    """Requests come one by one, at moments drawn at random, while others are being answered."""
    rng = random.Random(seed)
    left = list(runs)
    while left or live.batch.active_count or live.batch.waiting_count:
        while left and rng.random() < 0.4:
            live.batch.add([left.pop(0)])
        live.batch.step()


def same(runs: Sequence[LiveRun], expected: Sequence[Generation]) -> None:
    assert [tuple(run.tokens) for run in runs] == [e.token_ids for e in expected]
    assert [(run.text, run.finish) for run in runs] == [(e.text, e.finish) for e in expected]
    for run, wanted in zip(runs, expected, strict=True):
        assert run.logprob == pytest.approx(wanted.logprob, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_answers_are_the_offline_ones_whoever_joins_when(
    kind: str, sampling: Sampling, base: Path
) -> None:
    asked = prompts(9)
    expected = [engine(base).generate([prompt], sampling)[0] for prompt in asked]
    for seed in range(3):
        live = open_live(base, kind)
        runs = [start(live, prompt, sampling) for prompt in asked]
        answer_all(live, runs, seed)
        same(runs, expected)


class StrangeDraft(Draft):
    """Guesses right, wrong and nothing, in turns; knows the answer that is expected."""

    def __init__(self, answer: Sequence[int], seed: int) -> None:
        super().__init__()
        self.answer, self.rng, self.written = answer, random.Random(seed), 0
        self.guessed = 0

    def guess_tokens(self, most: int) -> tuple[int, ...]:
        count = self.rng.randrange(max(0, most) + 1) if self.written else 0
        guess = list(self.answer[self.written : self.written + count])
        if guess and self.rng.random() < 0.5:
            guess[self.rng.randrange(len(guess))] = 5
        self.guessed += len(guess)
        return tuple(guess)

    def record_guess(self, answer: Sequence[int], guessed: int, right: int) -> None:
        self.written = len(answer)


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_no_guess_changes_an_answer(sampling: Sampling, base: Path) -> None:
    asked = prompts(5)
    expected = [engine(base).generate([prompt], sampling)[0] for prompt in asked]
    for seed in range(4):
        live = open_live(base, "fused")
        runs = [start(live, prompt, sampling) for prompt in asked]
        drafts = [StrangeDraft(e.token_ids, seed) for e in expected]
        for run, draft in zip(runs, drafts, strict=True):
            run.draft = draft
        answer_all(live, runs, seed)
        same(runs, expected)
        assert sum(draft.guessed for draft in drafts) > 20
        again = [
            start(live, prompt, sampling) for prompt in asked
        ]  # what was kept of them is right
        answer_all(live, again, seed)
        same(again, expected)
        assert any(run.reused for run in again)


def test_an_answer_that_repeats_its_prompt_takes_fewer_forwards(base: Path) -> None:
    prompt = prompts(1)[0]
    [expected] = engine(base).generate([prompt], GREEDY)
    live = open_live(base, "fused")
    run = start(live, prompt, GREEDY)
    assert type(run.draft) is LookupDraft
    run.draft = LookupDraft([*expected.token_ids, *run.ids])
    live.batch.add([run])
    forwards = 0
    while live.batch.active_count or live.batch.waiting_count:
        live.batch.step()
        forwards += 1
    same([run], [expected])
    assert forwards <= len(run.tokens) * 2 // 3


def test_what_is_noted_of_every_row_is_not_guessed(base: Path) -> None:
    live = open_live(base, "fused")
    prompt = prompts(1)[0]
    ids = live.encode_chat(prompt.messages)
    for wants in ({"tops": 2}, {"rules": [TokenBias({3: 1.0})]}):
        run = live.start_chat(prompt.messages, ids, GREEDY, sample=0, model=BASE, **wants)  # type: ignore[arg-type]
        assert type(run.draft) is Draft


@pytest.mark.parametrize("kind", KINDS)
def test_models_answer_side_by_side_as_they_do_alone(
    kind: str, base: Path, adapters: list[Path]
) -> None:
    asked = prompts(6)
    local = engine(base)
    expected: dict[str, list[Generation]] = {}
    for name, path in (("base", None), ("one", adapters[0]), ("two", adapters[1])):
        local.use_adapter(path)
        expected[name] = local.generate(asked, GREEDY)
    local.use_adapter(None)
    texts = {name: [g.text for g in answers] for name, answers in expected.items()}
    assert len({str(t) for t in texts.values()}) == 3, "the adapters must change the answers"
    live = open_live(base, kind, slots=5)
    for name, path in (("one", adapters[0]), ("two", adapters[1])):
        live.load_variant(name, path)
    names = {"base": BASE, "one": "one", "two": "two"}
    runs = {n: [start(live, p, GREEDY, names[n]) for p in asked] for n in names}
    mixed = [run for group in zip(*runs.values(), strict=True) for run in group]
    answer_all(live, mixed)
    for name in names:
        same(runs[name], expected[name])


def test_different_sampling_in_one_batch(base: Path) -> None:
    asked = prompts(6)
    settings = [GREEDY, WARM, replace(WARM, top_k=0, temperature=0.3), replace(WARM, seed=9)]
    local = engine(base)
    live = open_live(base, "fused", slots=6)
    pairs = [(p, settings[at % 4]) for at, p in enumerate(asked)]
    runs = [start(live, p, s) for p, s in pairs]
    answer_all(live, runs)
    same(runs, [local.generate([p], s)[0] for p, s in pairs])


def test_a_beginning_that_was_asked_before_is_not_computed_again(base: Path) -> None:
    """What was computed shows in the number of tokens that go through the model."""
    live = open_live(base, "fused")
    prompt = prompts(1)[0]
    runs = [start(live, prompt, GREEDY) for _ in range(2)]
    answer_all(live, runs[:1])
    answer_all(live, runs[1:])
    assert runs[0].reused == 0
    assert runs[1].reused == len(runs[1].ids) - 1
    assert runs[0].tokens == runs[1].tokens


def test_samples_of_one_prompt_read_it_once(base: Path) -> None:
    live = open_live(base, "fused")
    prompt = max(prompts(9), key=lambda p: len(live.encode_chat(p.messages)))
    ids = live.encode_chat(prompt.messages)
    assert len(ids) > 4 * live_fused.LEAST_REUSE
    runs = [start(live, replace(prompt, sample=at), WARM) for at in range(3)]
    live.batch.add(runs)
    while live.batch.active_count or live.batch.waiting_count:
        live.batch.step()
    assert [run.reused for run in runs] == [0, len(ids) - 1, len(ids) - 1]
    expected = [engine(base).generate([replace(prompt, sample=at)], WARM)[0] for at in range(3)]
    same(runs, expected)


def test_another_models_beginning_is_never_reused(base: Path, adapters: list[Path]) -> None:
    live = open_live(base, "fused")
    live.load_variant("two", adapters[1])
    prompt = prompts(1)[0]
    first, second = start(live, prompt, GREEDY), start(live, prompt, GREEDY, "two")
    answer_all(live, [first])
    answer_all(live, [second])
    assert second.reused == 0


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_long_prompts_are_read_in_pieces(
    pieces: int, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_fused, "PREFILL_TOKENS", pieces)
    asked = prompts(5)
    live = open_live(base, "fused", slots=3)
    runs = [start(live, p, GREEDY) for p in asked]
    answer_all(live, runs)
    same(runs, engine(base).generate(asked, GREEDY))


def test_little_memory_means_fewer_at_a_time_and_the_same_answers(base: Path) -> None:
    asked = prompts(6)
    live = open_live(base, "fused", slots=6)
    longest = max(len(live.encode_chat(p.messages)) for p in asked) + GREEDY.max_new_tokens
    live = open_live(base, "fused", slots=6, places=2 * longest)
    runs = [start(live, p, GREEDY) for p in asked]
    live.batch.add(runs)
    most = 0
    while live.batch.active_count or live.batch.waiting_count:
        live.batch.step()
        most = max(most, live.batch.active_count)
        assert isinstance(live.batch, live_fused.LiveFused)
        shape = live.batch.cache.keys.shape
        assert shape[1] * shape[3] <= live.batch.places
    assert 1 <= most <= 2
    same(runs, engine(base).generate(asked, GREEDY))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_run_leaves_and_the_others_do_not_notice(kind: str, base: Path) -> None:
    asked = prompts(6)
    long = replace(GREEDY, max_new_tokens=60)
    live = open_live(base, kind, slots=2)
    runs = [start(live, p, long) for p in asked]
    live.batch.add(runs)
    for _ in range(3):
        live.batch.step()
    for gone in (0, 1, 4, 5):
        runs[gone].cancelled = True
    while live.batch.active_count or live.batch.waiting_count:
        live.batch.step()
    assert not runs[5].tokens
    expected = engine(base).generate(asked, long)
    same(runs[2:4], expected[2:4])


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_scores_are_those_of_scoring(kind: str, base: Path) -> None:
    live = open_live(base, kind)
    text = "the kettle of order 1234 broke on monday"
    ids = live.encode_text(text)
    run = live.start_text(
        ids, Sampling(max_new_tokens=1), sample=0, model=BASE, tops=3, wants_prompt=True
    )
    answer_all(live, [run])
    assert len(run.prompt_logprobs) == len(ids) - 1
    first = live.plain.decode(ids[:1])
    [[score]] = engine(base).score([[Choice(first, text[len(first) :])]])
    assert sum(run.prompt_logprobs) == pytest.approx(score.logprob, abs=1e-3)
    assert len(run.prompt_tops[0]) == 3
    assert run.prompt_tops[0][0][1] >= run.prompt_logprobs[0]


def test_noted_log_probabilities_are_those_of_the_picks(base: Path) -> None:
    live = open_live(base, "fused")
    prompt = prompts(1)[0]
    ids = live.encode_chat(prompt.messages)
    run = live.start_chat(prompt.messages, ids, GREEDY, sample=0, model=BASE, tops=2)
    answer_all(live, [run])
    assert sum(run.logprobs) == pytest.approx(run.logprob)
    assert [tops[0][0] for tops in run.tops] == run.tokens  # greedy: the likeliest is picked
    assert [tops[0][1] for tops in run.tops] == pytest.approx(run.logprobs)


def test_biases_and_penalties(base: Path) -> None:
    live = open_live(base, "fused")
    prompt = prompts(1)[0]
    ids = live.encode_chat(prompt.messages)
    plain, banned, fresh = (
        live.start_chat(prompt.messages, ids, GREEDY, sample=0, model=BASE, rules=rules)
        for rules in ([], [TokenBias({300: 100.0})], [RepetitionCost(0.0, 100.0)])
    )
    answer_all(live, [plain, banned, fresh])
    assert set(banned.tokens) == {300}
    assert len(set(fresh.tokens)) == len(fresh.tokens)
    assert plain.tokens == list(engine(base).generate([prompt], GREEDY)[0].token_ids)


def test_reference_engine_is_unchanged_by_a_live_batch(base: Path, adapters: list[Path]) -> None:
    local: LocalEngine = engine(base)
    before = local.generate(prompts(3), GREEDY)
    live = LiveEngine(local, slots=2, cache_bytes=1 << 28, prompt_bytes=1 << 24)
    live.load_variant("one", adapters[0])
    answer_all(live, [start(live, p, GREEDY, "one") for p in prompts(3)])
    after = local.generate(prompts(3), GREEDY)
    assert [g.token_ids for g in after] == [g.token_ids for g in before]
