"""What the local engine promises: the batch never matters, drafts and adapters are exact."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from infer_models import engine, folder, prompts
from residency.errors import ConfigError, ModelError, SuiteError
from residency.infer import continuous_batch as batching
from residency.infer import scoring
from residency.infer.choice_items import Item, group_items
from residency.infer.choose_tokens import draw_tokens
from residency.infer.encode_requests import Encoder, Request
from residency.infer.fused_model import FusedModel
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Choice, Generation, Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

GREEDY = Sampling(max_new_tokens=16)
WARM = Sampling(max_new_tokens=16, temperature=0.9, top_p=0.95, top_k=50, seed=5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kind of model that takes the generic path."""
    return folder(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture(scope="module")
def local(base: Path) -> LocalEngine:
    return engine(base)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEFT LoRA adapter that changes what the model says, written by PEFT itself."""
    from peft import LoraConfig, get_peft_model

    from residency.model.load_model import load_model

    at = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    model = load_model(base, device="cpu")
    config = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"])
    wrapped = get_peft_model(model, config)
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.3)
    wrapped.save_pretrained(at)
    return at


def same(left: list[Generation], right: list[Generation]) -> None:
    """Equal ids and texts, log-probabilities equal to rounding."""
    assert [a.token_ids for a in left] == [b.token_ids for b in right]
    assert [a.text for a in left] == [b.text for b in right]
    for a, b in zip(left, right, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-3)


@pytest.mark.parametrize("kind", ["fused", "generic"])
@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_pain_17_the_batch_never_changes_an_answer(
    kind: str, sampling: Sampling, base: Path, other: Path
) -> None:
    asked = prompts(9)
    at = base if kind == "fused" else other
    together = engine(at, batch_size=9).generate(asked, sampling)
    few = engine(at, batch_size=2).generate(asked[::-1], sampling)[::-1]
    alone_engine = engine(at, batch_size=1)
    alone = [alone_engine.generate([prompt], sampling)[0] for prompt in asked]
    same(together, few)
    same(together, alone)


def test_samples_of_a_prompt_differ_and_repeat_with_their_seed(local: LocalEngine) -> None:
    message = prompts(1)[0].messages
    asked = [Prompt(message, key="k", sample=n) for n in range(4)]
    answers = local.generate(asked, WARM)
    assert len({a.token_ids for a in answers}) == 4
    same(answers, local.generate(asked, WARM))
    changed = local.generate(asked, Sampling(max_new_tokens=16, temperature=0.9, seed=6))
    assert [a.token_ids for a in changed] != [a.token_ids for a in answers]


def test_samples_of_a_prompt_share_its_prefill(
    local: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = prompts(2)
    asked = [Prompt(p.messages, key=p.key, sample=n) for n in range(4) for p in (one, two)]
    alone = [local.generate([prompt], WARM)[0] for prompt in asked]
    tokens: list[int] = []
    plain = FusedModel.forward

    def counted(self: FusedModel, ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        tokens.append(len(ids))
        return plain(self, ids, *rest)

    monkeypatch.setattr(FusedModel, "forward", counted)
    same(local.generate(asked, WARM), alone)
    once = {tuple(local.chat.prompt_ids(prompt.messages)) for prompt in asked}
    assert sum(count for count in tokens if count > 8) <= sum(map(len, once))


def test_draws_follow_the_truncated_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 12) * 2
    sampling = Sampling(temperature=0.7, top_k=6, top_p=0.9)
    scaled = (logits[0] / 0.7).softmax(-1)
    order = scaled.sort(descending=True)
    top = order.values[:6] / order.values[:6].sum()
    kept = int((top.cumsum(0) - top < 0.9).sum())
    expected = torch.zeros(12)
    expected[order.indices[:kept]] = order.values[:kept] / order.values[:kept].sum()
    uniform = (torch.arange(20000).double() + 0.5) / 20000
    counts = Counter(draw_tokens(logits.expand(20000, 12), sampling, uniform).tolist())
    found = torch.tensor([counts[token] / 20000 for token in range(12)])
    assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_a_draft_never_changes_the_answer(local: LocalEngine, sampling: Sampling) -> None:
    asked = prompts(8)
    plain = local.generate(asked, sampling)
    drafts: list[tuple[int, ...]] = []
    for at, answer in enumerate(plain):
        ids = list(answer.token_ids)
        if at % 4 == 1:
            ids[len(ids) // 2] = (ids[len(ids) // 2] + 1) % 400
        elif at % 4 == 2:
            ids = ids[: len(ids) // 2]
        elif at % 4 == 3:
            ids = [5] * 30
        drafts.append(tuple(ids))
    drafted = [
        Prompt(p.messages, key=p.key, draft=draft) for p, draft in zip(asked, drafts, strict=True)
    ]
    same(plain, local.generate(drafted, sampling))


def test_a_right_draft_saves_the_steps(local: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = prompts(4)
    answers = local.generate(asked, GREEDY)
    drafted = [
        Prompt(p.messages, key=p.key, draft=a.token_ids)
        for p, a in zip(asked, answers, strict=True)
    ]
    steps: list[int] = []
    decode = batching.Batcher._decode_step
    monkeypatch.setattr(batching.Batcher, "_decode_step", lambda s: (steps.append(1), decode(s))[1])
    same(answers, local.generate(drafted, GREEDY))
    assert len(steps) == 1  # 8 guesses and one more token in the prefill, the other 7 in a step


def test_a_stop_string_ends_the_answer_before_it(local: LocalEngine, other: Path) -> None:
    for model in (local, engine(other)):
        plain = model.generate(prompts(5), GREEDY)
        for prompt, answer in zip(prompts(5), plain, strict=True):
            stop = answer.text[3:6]
            if not stop:
                continue
            cut = model.generate([prompt], Sampling(max_new_tokens=16, stop=(stop,)))[0]
            assert cut.text == answer.text[: answer.text.index(stop)]
            assert cut.finish == "stop"
            assert answer.token_ids[: len(cut.token_ids)] == cut.token_ids


def test_the_stream_is_the_answer_in_pieces(local: LocalEngine, other: Path) -> None:
    for model in (local, engine(other)):
        for prompt in prompts(3):
            whole = model.generate([prompt], GREEDY)[0]
            pieces = list(model.stream(prompt.messages, GREEDY))
            assert "".join(pieces) == whole.text
            assert len(pieces) > 1
            stopped = Sampling(max_new_tokens=16, stop=(whole.text[4:6],))
            cut = model.generate([prompt], stopped)[0]
            assert "".join(model.stream(prompt.messages, stopped)) == cut.text


def test_results_come_as_they_end_and_progress_counts_them(local: LocalEngine) -> None:
    seen: dict[int, Generation] = {}
    steps: list[int] = []
    answers = local.generate(
        prompts(6),
        GREEDY,
        on_result=seen.__setitem__,
        progress=lambda event: steps.append(event.done),
    )
    assert [seen[at] for at in range(6)] == answers
    assert steps == [1, 2, 3, 4, 5, 6]


def test_nothing_to_do_is_no_error(local: LocalEngine) -> None:
    assert local.generate([], GREEDY) == []
    assert local.score([]) == []
    assert local.score([[]]) == [[]]


def test_pain_27_a_prompt_without_room_is_an_error_and_not_an_answer(local: LocalEngine) -> None:
    long = Prompt((Message("user", "kettle " * 300),))
    answers = local.generate([*prompts(2), long], GREEDY)
    assert [a.finish == "error" for a in answers] == [False, False, True]
    assert "256" in answers[2].error
    almost = "x " * 110
    near = local.generate([Prompt((Message("user", almost),))], Sampling(max_new_tokens=500))[0]
    assert near.prompt_tokens + len(near.token_ids) <= local.context
    with pytest.raises(ConfigError, match="context"):
        list(local.stream(long.messages, GREEDY))


def test_pain_07_one_bos_in_prompts_and_scores(base: Path) -> None:
    local = engine(base)
    bos = local.tokenizer.bos_token_id
    encoder = Encoder(local.tokenizer, 256)
    text = local.tokenizer.decode(bos)
    ids = encoder.make_request(Choice(text + "the kettle", " broke")).inputs
    assert Counter(ids)[bos] == 1
    assert encoder.make_request(Choice("", text + "the kettle")).inputs[0] == bos
    assert Counter(encoder.make_request(Choice("", "the kettle")).inputs)[bos] == 1


# --- adapters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["auto", "generic"])
def test_pain_28_adapters_come_and_go_on_one_loaded_base(
    base: Path, adapter: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    local = engine(base, path=path)
    monkeypatch.setattr(
        "residency.infer.local_engine.load_model",
        lambda *a, **k: pytest.fail("the base loaded twice"),
    )
    before = {name: value.clone() for name, value in local.model.named_parameters()}
    bare = local.generate(prompts(5), GREEDY)
    local.use_adapter(adapter)
    tuned = local.generate(prompts(5), GREEDY)
    assert [a.token_ids for a in tuned] != [a.token_ids for a in bare]
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    for prompt, answer in zip(prompts(5), tuned, strict=True):
        ids = torch.tensor([local.chat.prompt_ids(prompt.messages)])
        found = reference.generate(input_ids=ids, max_new_tokens=16, do_sample=False)
        assert tuple(found[0, ids.shape[1] :].tolist()) == answer.token_ids
    local.use_adapter(None)
    again = local.generate(prompts(5), GREEDY)
    assert [(a.token_ids, a.logprob) for a in again] == [(a.token_ids, a.logprob) for a in bare]
    for name, value in local.model.named_parameters():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("path", ["auto", "generic"])
def test_one_adapter_after_another_leaves_no_trace(
    base: Path, adapter: Path, tmp_path: Path, path: str
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    weights = load_file(adapter / "adapter_model.safetensors")
    turned = {key: value.flip(0) for key, value in weights.items()}
    save_file(turned, second / "adapter_model.safetensors")
    fresh = engine(base, path=path, adapter=second).generate(prompts(4), GREEDY)
    local = engine(base, path=path, adapter=adapter)
    first = local.generate(prompts(4), GREEDY)
    local.use_adapter(second)
    after = local.generate(prompts(4), GREEDY)
    assert [(a.token_ids, a.logprob) for a in after] == [(a.token_ids, a.logprob) for a in fresh]
    local.use_adapter(adapter)
    again = local.generate(prompts(4), GREEDY)
    assert [(a.token_ids, a.logprob) for a in again] == [(a.token_ids, a.logprob) for a in first]


def test_full_weights_take_the_place_of_the_base(base: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    tuned = folder(tmp_path / "tuned", "llama")
    weights = load_file(tuned / "model.safetensors")
    weights = {name: value + 0.05 * torch.randn_like(value) for name, value in weights.items()}
    save_file(weights, tuned / "model.safetensors", metadata={"format": "pt"})
    expected = engine(tuned).generate(prompts(4), GREEDY)
    local = engine(base, adapter=tuned)
    same(local.generate(prompts(4), GREEDY), expected)
    local.use_adapter(None)
    same(local.generate(prompts(4), GREEDY), engine(base).generate(prompts(4), GREEDY))


def test_pain_10_an_adapter_that_cannot_act_is_refused(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    local = engine(base)
    bare = local.generate(prompts(3), GREEDY)
    bad = tmp_path / "bad"
    bad.mkdir()
    with pytest.raises(ModelError, match="neither"):
        local.use_adapter(bad)
    (bad / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    weights = load_file(adapter / "adapter_model.safetensors")
    renamed = {key.replace("layers.0", "layers.7"): value for key, value in weights.items()}
    save_file(renamed, bad / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="another model"):
        local.use_adapter(bad)
    same(local.generate(prompts(3), GREEDY), bare)


# --- scoring -----------------------------------------------------------------------------------


def test_pain_16_whole_logits_are_never_kept(
    local: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only scored positions pass the output layer, and never more than 256 at a time."""
    rows: list[int] = []
    plain = FusedModel.compute_logits

    def counted(self: FusedModel, hidden: torch.Tensor) -> torch.Tensor:
        rows.append(hidden.shape[0])
        return plain(self, hidden)

    monkeypatch.setattr(FusedModel, "compute_logits", counted)
    shots = "the kettle of order 1234 broke on monday " * 4
    items = [
        [Choice(f"{shots}{n} answer:", " " + "bird " * length) for length in (1, 3, 20)]
        for n in range(30)
    ]
    scores = local.score(items)
    assert max(rows) <= 256
    assert sum(rows) <= sum(score.tokens for item in scores for score in item)


def test_a_shared_prefix_is_computed_once(
    local: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[int] = []
    plain = FusedModel.forward

    def counted(self: FusedModel, ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        tokens.append(len(ids))
        return plain(self, ids, *rest)

    monkeypatch.setattr(FusedModel, "forward", counted)
    shots = "the kettle of order 1234 broke on monday " * 6
    items = [[Choice(f"{shots} number {n}?", f" {w}") for w in ("a", "b")] for n in range(20)]
    local.score(items)
    encoder = Encoder(local.tokenizer, 256)
    plainly = sum(len(encoder.make_request(c).inputs) for item in items for c in item)
    assert sum(tokens) < plainly / 10


def item(index: int, *context: int) -> Item:
    """An item of two one-token choices."""
    return Item(index, [Request(tuple(context), (7,)), Request(tuple(context), (8,))])


def test_items_are_grouped_where_they_share_most() -> None:
    one, two = list(range(100, 140)), list(range(200, 240))
    start = list(range(1, 11))
    items = [item(n, *start, *(one if n % 2 else two), 300 + n, 400) for n in range(12)]
    items.append(item(12, *range(500, 540)))
    groups = group_items(items)
    assert sorted(sorted(i.index for i in g.items) for g in groups) == [
        [0, 2, 4, 6, 8, 10],
        [1, 3, 5, 7, 9, 11],
        [12],
    ]
    assert sorted(g.prefix for g in groups) == [0, 50, 50]


@pytest.mark.parametrize("chunk", [1, 60, 4096])
def test_scores_do_not_depend_on_what_is_scored_together(
    local: LocalEngine, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_CHUNK_TOKENS", chunk)
    shots = "question: can it fly? answer: no " * 2
    items = [
        [Choice(f"{shots if n % 3 else ''}a bird {n}", f" {w}") for w in ("has wings", "x", "has")]
        for n in range(9)
    ]
    together = local.score(items)
    for one, scores in zip(items, together, strict=True):
        for alone, score in zip(local.score([one])[0], scores, strict=True):
            assert score.logprob == pytest.approx(alone.logprob, abs=1e-4)
            assert (score.tokens, score.greedy) == (alone.tokens, alone.greedy)


def test_too_long_a_context_is_cut_on_the_left(local: LocalEngine) -> None:
    head = "kettle lamp radio " * 200
    assert len(local.tokenizer.encode(head)) > local.context
    scores = local.score([[Choice(head + "my", " bird"), Choice("xyz " + head + "my", " bird")]])
    assert scores[0][0].logprob == pytest.approx(scores[0][1].logprob, abs=1e-4)


def test_an_empty_choice_is_named(local: LocalEngine) -> None:
    with pytest.raises(SuiteError, match="no tokens to score"):
        local.score([[Choice("a question", "")]])


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_approximate_precisions_stay_close(kind: str, tmp_path: Path) -> None:
    """With biases of projections, and norms of queries and keys."""
    base = folder(tmp_path, kind)
    items = [
        [Choice(f"my lamp {n} is", " on"), Choice(f"my lamp {n} is", " off")] for n in range(4)
    ]
    exact = engine(base).score(items)
    for precision, tolerance in (("bf16", 0.2), ("int8", 1.0)):
        found = engine(base, precision=precision).score(items)
        gaps = [
            abs(a.logprob - b.logprob)
            for left, right in zip(exact, found, strict=True)
            for a, b in zip(left, right, strict=True)
        ]
        assert 0 < max(gaps) < tolerance, precision
    with pytest.raises(ConfigError, match="fp32, bf16, int8"):
        engine(base, precision="fp8")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_base_that_cannot_answer_in_less_than_fp32_says_so(other: Path, precision: str) -> None:
    with pytest.raises(ConfigError, match="generic path"):
        engine(other, precision=precision)


def test_a_model_that_the_fused_forward_gets_wrong_takes_the_generic_path(
    base: Path, tmp_path: Path
) -> None:
    """The probe at loading compares logits: a config that lies about its model is found out."""
    import shutil

    odd = tmp_path / "odd"
    shutil.copytree(base, odd)
    config = json.loads((odd / "config.json").read_text())
    config["rms_norm_eps"] = 0.5
    (odd / "config.json").write_text(json.dumps(config))
    local = engine(odd)
    assert local.fused is not None
    local.model.config.rms_norm_eps = 1e-6
    assert "differs" in local._try_fused()
