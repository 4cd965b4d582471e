"""A model's own ``generation_config.json``: every setting is followed as ``generate`` follows it, or
refused by its name."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from infer_models import engine, folder, prompts
from residency.errors import ModelError
from residency.infer.choose_tokens import draw_tokens
from residency.infer.generation_settings import (
    LOGITS_SETTINGS,
    REFUSED,
    SAMPLING_SETTINGS,
    read_generation_settings,
)
from residency.infer.local_engine import LocalEngine
from residency.infer.logits_rules import LogitsRules
from residency.interfaces import Generation, Prompt
from residency.nouns.response import Sampling

BUDGET = 14
GREEDY = Sampling(max_new_tokens=BUDGET)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {kind: folder(root / kind, kind) for kind in ("llama", "gpt2")}


def with_settings(base: Path, at: Path, **settings: Any) -> Path:
    """A copy of the folder whose generation settings are these."""
    shutil.copytree(base, at)
    raw = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, **settings}
    (at / "generation_config.json").write_text(json.dumps(raw))
    return at


def by_transformers(
    model: Any, local: LocalEngine, asked: Sequence[Prompt]
) -> list[tuple[int, ...]]:
    """What stock ``generate`` writes, by the folder's own settings and nothing else."""
    out = []
    for prompt in asked:
        ids = torch.tensor([local.chat.prompt_ids(prompt.messages)])
        more = {"stop_strings": model.generation_config.stop_strings} if local.settings.stop else {}
        with torch.inference_mode():
            found = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=BUDGET,
                tokenizer=local.tokenizer if more else None,
            )
        out.append(tuple(found[0, ids.shape[1] :].tolist()))
    return out


def tokens_of(answers: Sequence[Generation]) -> list[tuple[int, ...]]:
    return [answer.token_ids for answer in answers]


def random_settings(rng: random.Random) -> dict[str, Any]:
    """Some settings of those that change scores, with values in range."""
    some_ids = [rng.randrange(3, 400) for _ in range(40)]
    values: dict[str, Any] = {
        "sequence_bias": [[[i], rng.uniform(-6, 6)] for i in some_ids[:8]]
        + [[some_ids[:2], rng.uniform(-6, 6)]],
        "encoder_repetition_penalty": rng.choice((0.7, 1.5)),
        "repetition_penalty": rng.choice((0.8, 1.05, 1.3, 2.0)),
        "no_repeat_ngram_size": rng.randint(1, 3),
        "encoder_no_repeat_ngram_size": rng.randint(1, 3),
        "bad_words_ids": [[i] for i in some_ids] + [some_ids[:2]],
        "min_length": rng.randint(1, 80),
        "min_new_tokens": rng.randint(1, BUDGET),
        "forced_bos_token_id": 7,
        "forced_eos_token_id": rng.choice((2, 9)),
        "remove_invalid_values": True,
        "exponential_decay_length_penalty": [rng.randint(0, 5), rng.uniform(1.0, 1.5)],
        "suppress_tokens": some_ids,
        "begin_suppress_tokens": some_ids[::2],
        "eos_token_id": [2, *some_ids],
    }
    assert values.keys() - {"eos_token_id"} == LOGITS_SETTINGS.keys()
    names = rng.sample(sorted(values), rng.randint(1, 4))
    return {name: values[name] for name in names}


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_random_settings_are_followed_token_for_token(
    kind: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(bases[kind])
    asked = prompts(5)
    plain = tokens_of(engine(bases[kind], batch_size=3).generate(asked, GREEDY))
    changed = 0
    for seed in range(24):
        settings = random_settings(random.Random(seed))
        at = with_settings(bases[kind], tmp_path / str(seed), **settings)
        local = engine(at, batch_size=3)
        model.generation_config = GenerationConfig.from_pretrained(at)
        answers = local.generate(asked, GREEDY)
        assert tokens_of(answers) == by_transformers(model, local, asked), settings
        changed += tokens_of(answers) != plain
        drafts = [Prompt(p.messages, key=p.key, draft=d) for p, d in zip(asked, plain, strict=True)]
        assert tokens_of(local.generate(drafts, GREEDY)) == tokens_of(answers), settings
    assert changed > 12


@pytest.mark.parametrize("name", LOGITS_SETTINGS)
def test_each_setting_alone(name: str, bases: dict[str, Path], tmp_path: Path) -> None:
    rng = random.Random(name)
    settings: dict[str, Any] = {}
    while name not in settings:
        settings = random_settings(rng)
    at = with_settings(bases["llama"], tmp_path / "base", **{name: settings[name]})
    local = engine(at)
    model = AutoModelForCausalLM.from_pretrained(at)
    answers = local.generate(prompts(4), GREEDY)
    assert tokens_of(answers) == by_transformers(model, local, prompts(4))
    assert local.settings.name_key(GREEDY)


def test_pain_05_every_end_id_of_the_model_stops_it(bases: dict[str, Path], tmp_path: Path) -> None:
    """Base answers must not run on behind an end token that only the model's own file names."""
    free = engine(bases["llama"]).generate(prompts(6), GREEDY)
    ends = sorted({a.token_ids[4] for a in free if len(a.token_ids) > 5})
    at = with_settings(bases["llama"], tmp_path / "base", eos_token_id=[2, *ends])
    local = engine(at)
    model = AutoModelForCausalLM.from_pretrained(at)
    answers = local.generate(prompts(6), GREEDY)
    assert tokens_of(answers) == by_transformers(model, local, prompts(6))
    for answer in answers:
        if answer.finish == "stop":
            assert answer.token_ids[-1] in (2, *ends)
            assert answer.text == local.chat.decode(answer.token_ids[:-1])
    assert sum(a.finish == "stop" for a in answers) >= 5
    assert "".join(local.stream(prompts(1)[0].messages, GREEDY)) == answers[0].text


def test_stop_strings_of_the_model_stop_it(bases: dict[str, Path], tmp_path: Path) -> None:
    free = engine(bases["llama"]).generate(prompts(4), GREEDY)
    stop = next(a.text[1:3] for a in free if a.text[1:3].isalpha())
    at = with_settings(bases["llama"], tmp_path / "base", stop_strings=[stop])
    local = engine(at)
    model = AutoModelForCausalLM.from_pretrained(at)
    answers = local.generate(prompts(4), GREEDY)
    assert tokens_of(answers) == by_transformers(model, local, prompts(4))
    assert all(stop not in a.text for a in answers)
    assert any(a.finish == "stop" for a in answers)


def test_settings_in_the_configuration_count_where_there_is_no_file(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    at = tmp_path / "base"
    shutil.copytree(bases["llama"], at)
    (at / "generation_config.json").unlink()
    config = json.loads((at / "config.json").read_text())
    config["eos_token_id"] = [2, 300, 301, 302, 303, 304, 305]
    (at / "config.json").write_text(json.dumps(config))
    local = engine(at)
    model = AutoModelForCausalLM.from_pretrained(at)
    asked = prompts(6)
    assert tokens_of(local.generate(asked, GREEDY)) == by_transformers(model, local, asked)


REFUSED_VALUES = {
    "num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5, "penalty_alpha": 0.6,
    "dola_layers": "low", "constraints": ["x"], "force_words_ids": [[4]], "guidance_scale": 1.5,
    "token_healing": True, "watermarking_config": {"bias": 2.0}, "max_time": 1.0,
    "cache_implementation": "quantized",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_VALUES)
def test_what_is_not_followed_is_refused_by_name(
    name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    at = with_settings(bases["llama"], tmp_path / "base", **{name: REFUSED_VALUES[name]})
    with pytest.raises(ModelError, match=name) as caught:
        engine(at)
    assert "generation_config.json" in caught.value.where
    assert REFUSED_VALUES.keys() >= REFUSED.keys()


@pytest.mark.parametrize(
    "settings",
    [{"repetition_penalty": -1.0}, {"bad_words_ids": "x"}, {"suppress_tokens": [99999]},
     {"eos_token_id": "end"}, {"min_new_tokens": -3}],
    ids=str,
)  # fmt: skip
def test_values_out_of_range_are_refused(
    settings: dict[str, Any], bases: dict[str, Path], tmp_path: Path
) -> None:
    at = with_settings(bases["llama"], tmp_path / "base", **settings)
    try:
        local = engine(at)
    except ModelError as error:
        assert next(iter(settings)) in str(error)
        return
    # What transformers lets pass has no effect there, and none here.
    model = AutoModelForCausalLM.from_pretrained(at)
    answers = local.generate(prompts(2), GREEDY)
    assert tokens_of(answers) == by_transformers(model, local, prompts(2))


def test_damaged_files_are_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    at = with_settings(bases["llama"], tmp_path / "base")
    for text in ("{", "[1]", '"x"'):
        (at / "generation_config.json").write_text(text)
        with pytest.raises(ModelError, match="file"):
            read_generation_settings(at)


@pytest.mark.parametrize("seed", range(12))
def test_draws_follow_the_distribution_of_transformers(
    seed: int, bases: dict[str, Path], tmp_path: Path
) -> None:
    rng = random.Random(seed)
    values = {
        "top_h": 0.6, "top_k": rng.randint(2, 30), "top_p": rng.uniform(0.3, 0.99),
        "min_p": rng.uniform(0.01, 0.3), "typical_p": rng.uniform(0.3, 0.95),
        "epsilon_cutoff": 0.01, "eta_cutoff": 0.01, "repetition_penalty": 1.4,
    }  # fmt: skip
    assert values.keys() >= SAMPLING_SETTINGS.keys()
    chosen = {name: values[name] for name in rng.sample(sorted(values), rng.randint(1, 4))}
    at = with_settings(bases["llama"], tmp_path / "base", **chosen)
    settings = read_generation_settings(at)
    sampling = settings.complete_sampling(Sampling(temperature=0.8))
    model = AutoModelForCausalLM.from_pretrained(at)
    config = GenerationConfig.from_pretrained(at)
    config.update(do_sample=True, temperature=0.8)
    config._eos_token_tensor = torch.tensor([2])
    ids = torch.tensor([[5, 6, 7]])
    torch.manual_seed(seed)
    logits = torch.randn(1, 400) * 3
    expected = model._get_logits_processor(config, input_ids_seq_length=3)(ids, logits.clone())
    rules = LogitsRules(settings, [5, 6, 7], 8, [2], torch.device("cpu"))
    scores = rules.adjust_scores([], logits[0])[None]
    uniform = (torch.arange(4000).double() + 0.5) / 4000
    drawn = draw_tokens(scores.expand(4000, 400), sampling, uniform, rules)
    counts = torch.bincount(drawn, minlength=400) / 4000
    assert torch.allclose(counts, expected.softmax(-1)[0], atol=2e-3), chosen


def test_answers_of_models_without_such_settings_keep_their_keys(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    warm = Sampling(temperature=0.7)
    plain = read_generation_settings(bases["llama"])
    assert plain.name_key(GREEDY) == plain.name_key(warm) == ""
    assert "model_settings" not in GREEDY.to_dict()
    keys = {""}
    for number, settings in enumerate(
        ({"repetition_penalty": 1.1}, {"repetition_penalty": 1.2}, {"eos_token_id": [2, 3]})
    ):
        own = read_generation_settings(
            with_settings(bases["llama"], tmp_path / str(number), **settings)
        )
        keys.add(own.name_key(GREEDY))
    assert len(keys) == 4
    drawn = read_generation_settings(with_settings(bases["llama"], tmp_path / "top", top_p=0.8))
    assert drawn.name_key(GREEDY) == ""
    assert drawn.name_key(warm)


def test_the_bases_that_we_ship_have_no_such_settings() -> None:
    """A project on them asks for no base to know how its answers are stored."""
    from residency.model.base_model import is_here, resolve_base

    for name in ("tiny", "smollm2-135m"):
        if is_here(name):
            settings = read_generation_settings(resolve_base(name, fetch=False).path)
            assert settings.name_key(GREEDY) == settings.name_key(Sampling(temperature=1.0)) == ""
