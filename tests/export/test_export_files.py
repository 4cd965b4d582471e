"""Exported files against the program that loads them, on tiny random models of every family."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    Phi3Config,
    SmolLM3Config,
)

import infer_models
from chat_families import conversation, tokenizer_of
from infer_models import SHAPE, engine, folder, prompts
from residency.chat.chat_format import ChatFormat
from residency.errors import ModelError, ParityError
from residency.export.export_formats import QUANTISATIONS
from residency.export.export_model import describe_vllm
from residency.export.gguf_file import write_gguf, write_gguf_adapter
from residency.export.llamacpp_consumer import open_llamacpp
from residency.export.ollama_modelfile import read_turn_texts, write_modelfile
from residency.export.proof import FileProof, describe_stops, prove_file
from residency.export.transformers_consumer import open_transformers
from residency.interfaces import Prompt
from residency.nouns.example import Message
from residency.nouns.response import Sampling

GREEDY = Sampling(max_new_tokens=16)
WIDE: dict[str, Any] = {
    **SHAPE, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96
}  # fmt: skip
MORE = {
    "gemma-wide": lambda: GemmaConfig(**WIDE, head_dim=16),
    "gemma2": lambda: Gemma2Config(
        **WIDE, head_dim=16, query_pre_attn_scalar=16, sliding_window=64
    ),
    "gemma3": lambda: Gemma3TextConfig(
        **WIDE, head_dim=16, query_pre_attn_scalar=16, sliding_window=64
    ),
    "phi3": lambda: Phi3Config(**WIDE),
    "smollm3": lambda: SmolLM3Config(**{**WIDE, "num_hidden_layers": 5}),
}
FAMILIES = ["llama", "llama3-rope", "llama-bias", "mistral", "qwen2", "qwen3", *MORE]


def llamacpp() -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")


def base_of(kind: str, at: Path) -> Path:
    infer_models.CONFIGS.update(MORE)
    return folder(at, kind)


@pytest.mark.parametrize("kind", FAMILIES)
def test_pain_33_a_gguf_file_says_what_the_model_says(kind: str, tmp_path: Path) -> None:
    """Same tokens, same prompt, same greedy answers, by llama.cpp itself."""
    llamacpp()
    base = base_of(kind, tmp_path / "base")
    local = engine(base)
    file = tmp_path / "x.gguf"
    write_gguf(base, file, "f32", chat=local.chat)
    expected = local.generate(prompts(4), GREEDY)
    with open_llamacpp(file, context=256, threads=1) as served:
        proof = prove_file(
            served, local.chat, prompts(4), expected, GREEDY,
            exact=True, measure_lead=local.measure_lead, where=kind,
        )  # fmt: skip
    assert proof.same_text >= 3


@pytest.mark.parametrize("quantisation", sorted(QUANTISATIONS.keys() - {"f32"}))
def test_rounded_files_are_smaller_and_load(quantisation: str, tmp_path: Path) -> None:
    llamacpp()
    if "_k" in quantisation:
        pytest.importorskip("libgguf", reason="libgguf is not installed")
    infer_models.CONFIGS["wide"] = lambda: infer_models.LlamaConfig(
        **{**SHAPE, "hidden_size": 256, "intermediate_size": 320, "num_attention_heads": 4}
    )
    base = folder(tmp_path / "base", "wide")
    local = engine(base)
    sizes = {}
    for name in ("f32", quantisation):
        write_gguf(base, tmp_path / f"{name}.gguf", name, chat=local.chat)
        sizes[name] = (tmp_path / f"{name}.gguf").stat().st_size
    assert sizes[quantisation] < sizes["f32"]
    expected = local.generate(prompts(3), GREEDY)
    with open_llamacpp(tmp_path / f"{quantisation}.gguf", context=256, threads=1) as served:
        proof = prove_file(
            served, local.chat, prompts(3), expected, GREEDY,
            exact=False, measure_lead=local.measure_lead, where=quantisation,
        )  # fmt: skip
    assert proof.prompts == 3


def adapter_on(base: Path, at: Path, **settings: Any) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(
        r=4, lora_alpha=8,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        **settings,
    )  # fmt: skip
    wrapped = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, value in wrapped.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.3)
    wrapped.save_pretrained(at)
    return at


@pytest.mark.parametrize(("kind", "rslora"), [("llama", False), ("qwen3", True)])
def test_pain_33_an_adapter_file_says_what_the_adapter_says(
    kind: str, rslora: bool, tmp_path: Path
) -> None:
    llamacpp()
    base = base_of(kind, tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter", use_rslora=rslora)
    local = engine(base)
    bare = local.generate(prompts(4), GREEDY)
    local.use_adapter(adapter)
    expected = local.generate(prompts(4), GREEDY)
    assert [a.text for a in bare] != [a.text for a in expected]
    write_gguf(base, tmp_path / "base.gguf", "f32", chat=local.chat)
    write_gguf_adapter(adapter, base, tmp_path / "adapter.gguf")
    with open_llamacpp(
        tmp_path / "base.gguf", adapter=tmp_path / "adapter.gguf", context=256, threads=1
    ) as served:
        prove_file(
            served, local.chat, prompts(4), expected, GREEDY,
            exact=True, measure_lead=local.measure_lead, where=kind,
        )  # fmt: skip
        with pytest.raises(ParityError, match="differ"):  # the proof sees another model
            prove_file(
                served, local.chat, prompts(4), bare, GREEDY,
                exact=True, measure_lead=lambda ids: 1.0, where=kind,
            )  # fmt: skip
    with open_transformers(base, adapter=_with_tokenizer(adapter, base, local.chat)) as peft:
        proof = prove_file(
            peft, local.chat, prompts(4), expected, GREEDY,
            exact=True, measure_lead=local.measure_lead, where="peft",
        )  # fmt: skip
    assert proof.same_text == 4


def _with_tokenizer(adapter: Path, base: Path, chat: ChatFormat) -> Path:
    from residency.model.merging import copy_tokenizer

    copy_tokenizer(base, adapter)
    (adapter / "chat_template.jinja").write_text(chat.template)
    return adapter


def test_pain_08_a_file_that_asks_otherwise_is_refused(tmp_path: Path) -> None:
    """Another chat template in the file than the model was trained with never leaves."""
    llamacpp()
    base = base_of("llama", tmp_path / "base")
    local = engine(base)
    other = ChatFormat(
        local.tokenizer, local.chat.template.replace("m['content']", "' ' + m['content']")
    )
    write_gguf(base, tmp_path / "x.gguf", "f32", chat=other)
    expected = local.generate(prompts(2), GREEDY)
    with (
        open_llamacpp(tmp_path / "x.gguf", context=256, threads=1) as served,
        pytest.raises(ParityError, match="asks otherwise"),
    ):
        prove_file(
            served, local.chat, prompts(2), expected, GREEDY,
            exact=True, measure_lead=local.measure_lead, where="x",
        )  # fmt: skip


def test_pain_34_a_file_that_never_ends_is_refused() -> None:
    base_answers = [_answer("stop"), _answer("stop")]

    class Endless:
        """A program whose answers run to their budget."""

        own_ends = ()
        stops = ()

        def __init__(self, chat: ChatFormat) -> None:
            self.chat = chat

        def prompt_ids(self, messages: Any) -> list[int]:
            return self.chat.prompt_ids(messages)

        def text_ids(self, text: str) -> list[int]:
            return self.chat.plain_ids(text)

        def measure_speed(self, messages: Any) -> float:
            return 1.0

        def generate(self, prompts: Any, sampling: Any, **_: Any) -> list[Any]:
            return [_answer("length") for _ in prompts]

    chat = ChatFormat(infer_models.tokenizer())
    asked = [Prompt((Message("user", "Hi"),)), Prompt((Message("user", "Ho"),))]
    with pytest.raises(ParityError, match="ends by itself"):
        prove_file(
            Endless(chat), chat, asked, base_answers, GREEDY,
            exact=False, measure_lead=lambda ids: 1.0, where="x",
        )  # fmt: skip


@pytest.mark.parametrize("program", ["transformers", "llama.cpp"])
def test_a_program_is_sent_the_strings_at_which_answers_end(program: str, tmp_path: Path) -> None:
    """Answers that end at a heading, and at no token, are the model's own where it is sent; who uses
    the file is told to send it."""
    base = base_of("llama", tmp_path / "base")
    local = engine(base)
    free = local.generate(prompts(4), GREEDY)
    stop = next(e.text.strip() for e in free if len(e.text.strip()) > 6)[3:6]
    stopped = replace(GREEDY, stop=(stop,))
    expected = local.generate(prompts(4), stopped)
    assert any(stop in e.text for e in free) and not any(stop in e.text for e in expected)
    if program == "transformers":
        opened = open_transformers(base, stops=(stop,))
    else:
        llamacpp()
        write_gguf(base, tmp_path / "x.gguf", "f32", chat=local.chat)
        opened = open_llamacpp(tmp_path / "x.gguf", context=256, threads=1, stops=(stop,))
    with opened as consumer:
        proof = prove_file(
            consumer, local.chat, prompts(4), expected, GREEDY,
            exact=True, measure_lead=local.measure_lead, where=program,
        )  # fmt: skip
    assert proof.same_text >= 3 and proof.stops == (stop,)
    assert proof.needed_stops == sum(stop in e.text for e in free)
    told = describe_stops([proof])[0]
    assert f"{proof.needed_stops} of the model's 4 answers end only there" in told
    assert json.dumps([stop], ensure_ascii=False) in told


def test_nothing_is_said_of_stops_where_there_are_none() -> None:
    assert describe_stops([FileProof(6, 6, 6, 6, 1, 9.0)]) == []
    assert "None of the model's 6" in describe_stops([FileProof(6, 6, 6, 6, 1, 9.0, ("##",))])[0]


def _answer(finish: Any) -> Any:
    from residency.interfaces import Generation

    return Generation("Yes", token_ids=(5,), finish=finish)


def test_other_architectures_and_adapters_are_refused_by_name(tmp_path: Path) -> None:
    base = base_of("gpt2", tmp_path / "gpt2")
    with pytest.raises(ModelError, match="gpt2"):
        write_gguf(base, tmp_path / "x.gguf", "f32", chat=engine(base).chat)
    assert not (tmp_path / "x.gguf").exists()
    llama = base_of("llama", tmp_path / "llama")
    dora = adapter_on(llama, tmp_path / "dora", use_dora=True)
    with pytest.raises(ModelError, match="use_dora"):
        write_gguf_adapter(dora, llama, tmp_path / "a.gguf")
    config = json.loads((llama / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    (llama / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="dynamic"):
        write_gguf(llama, tmp_path / "x.gguf", "f32", chat=engine(llama).chat)


@pytest.mark.parametrize("family", ["chatml", "zephyr", "qwen2_5", "llama3", "gemma", "mistral_v3"])
def test_a_modelfile_asks_what_the_chat_template_asks(family: str) -> None:
    import random

    chat = ChatFormat(tokenizer_of(family))
    try:
        texts = read_turn_texts(chat)
    except ModelError as error:
        assert "Ollama" in error.what
        return
    bos = chat.pieces(chat.prompt_ids([]), [False])[0][0] if chat.prompt_ids([]) else ""
    for seed in range(30):
        turns = conversation(random.Random(seed), system=chat.writes_system)[:-1]
        asked = chat.render(turns, prompt=True)
        assert texts.write(turns) == (asked.removeprefix(bos) if chat.adds_bos else asked)
    text = write_modelfile(chat, "x.gguf", context=512)
    assert text.startswith("FROM ./x.gguf\nTEMPLATE ")
    assert all(f'PARAMETER stop "{chat._added[e].content}"' in text for e in chat.end_ids)


def test_vllm_is_told_the_rank_and_what_it_refuses() -> None:
    assert "--max-lora-rank" not in describe_vllm({"r": 16}, "x")
    assert "--max-lora-rank 64" in describe_vllm({"r": 40}, "x")
    assert "DoRA" in describe_vllm({"r": 8, "use_dora": True}, "x")
    assert "refuses" in describe_vllm({"r": 8, "modules_to_save": ["lm_head"]}, "x")


@pytest.mark.slow
@pytest.mark.parametrize("quantisation", ["f32", "q8_0"])
def test_pain_33_smollm2_as_gguf(quantisation: str, tmp_path: Path) -> None:
    """A trained model: the same answers in fp32, and answers that end in 8 bits."""
    llamacpp()
    from residency.infer.local_engine import LocalEngine
    from residency.model.base_model import is_here, resolve_base

    if not is_here("smollm2-135m"):
        pytest.skip("smollm2-135m is not on this machine (residency base fetch smollm2-135m)")
    base = resolve_base("smollm2-135m", fetch=False)
    chat = ChatFormat(base.tokenizer())
    local = LocalEngine(base.path, chat, known=base.known, threads=1)
    asked = [
        Prompt((Message("user", text),))
        for text in ("What is the capital of France?", "What is 2 + 2?")
    ]
    sampling = Sampling(max_new_tokens=24)
    expected = local.generate(asked, sampling)
    file = tmp_path / "x.gguf"
    write_gguf(base.path, file, quantisation, chat=chat)
    with open_llamacpp(file, context=512, threads=1) as served:
        proof = prove_file(
            served, chat, asked, expected, sampling,
            exact=quantisation == "f32", measure_lead=local.measure_lead, where=quantisation,
        )  # fmt: skip
    assert proof.ended >= 1
