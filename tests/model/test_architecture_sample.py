"""A fixed sample of the matrix of architectures: each works end to end, or is refused with a reason.

The whole matrix is ``python benchmarks/architectures.py``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers

from residency.errors import ModelError
from residency.infer.local_engine import LocalEngine
from residency.model.decoder import Decoder
from residency.model.find_layers import layer_stack, target_modules
from residency.model.load_model import load_model
from residency.model.lora_experts import count_experts, find_expert_weights
from residency.model.lora_linear import LoraLinear, replace_module
from residency.model.peft_adapter import check_shared_weights
from residency.train.flat_batch import flatten_rows

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "architectures.py"
WORKING = {
    "gpt_neox": "rotary positions on a part of a head, biases",
    "opt": "its body calls a decoder of its own",
    "mamba": "a state-space model: no attention at all",
    "qwen3_moe": "a mixture whose experts lie in one parameter",
    "phi3": "one product for queries, keys and values",
    "bloom": "positions as biases of attention",
}
REFUSED = {
    "hrm_text": "cannot tell which module holds the 16 decoder layers",
    "prophetnet": "transformers cannot write with it",
    "reformer": "no gradient passes its layers",
}


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("architectures", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", WORKING)
def test_it_trains_answers_and_merges_as_transformers_does(
    kind: str, matrix: ModuleType, tmp_path: Path
) -> None:
    result = matrix.try_kind(kind, tmp_path)
    assert result["outcome"] == "works", result


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_work_is_refused_at_load_alike_by_training_and_evaluation(
    kind: str, matrix: ModuleType, tmp_path: Path
) -> None:
    result = matrix.try_kind(kind, tmp_path)
    assert result["outcome"] == "refused" and REFUSED[kind] in result["eval"], result


def build_model(kind: str, matrix: ModuleType) -> Any:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(matrix.shrink_config(kind)).eval()


@pytest.mark.parametrize("kind", ["llama4_text", "rembert"])
def test_losses_are_the_models_own_where_body_or_head_are_odd(
    kind: str, matrix: ModuleType
) -> None:
    """Llama 4's text model is named as in the larger one; RemBERT's head has several layers."""
    model = build_model(kind, matrix)
    decoder = Decoder(model)
    rows = matrix.make_rows()[:2]
    batch = flatten_rows(rows, share=False)
    with torch.no_grad():
        states = decoder.hidden_states(batch.ids, batch.positions, batch.layout, batch.predict)
        mean = decoder.token_losses(states, batch.labels).mean()
    assert float(mean) == pytest.approx(matrix.mean_nll(model, rows), abs=1e-4)


def test_layers_that_count_twice_are_found(matrix: ModuleType) -> None:
    model = build_model("longcat_flash", matrix)
    stacked = find_expert_weights(layer_stack(model).layers[0], count_experts(model))
    assert [sorted(names) for names in stacked.values()] == [["down_proj", "gate_up_proj"]]
    assert model.config.num_hidden_layers == 2 * len(layer_stack(model).layers)


def test_weights_that_layers_share_are_not_adapted(matrix: ModuleType, tmp_path: Path) -> None:
    """An update of one layer's use would, once merged, be every layer's."""
    model = build_model("zamba", matrix)
    chosen = target_modules(model, "all", [])
    assert chosen and not any(".shared_transf." in path for path in chosen)
    shared = [n for n, m in model.named_modules() if n.endswith("shared_transf.self_attn.q_proj")]
    assert len(shared) == 2
    for path in shared:
        replace_module(model, path, LoraLinear(model.get_submodule(path), 2, 1.0))
    with pytest.raises(ModelError, match="changes one weight twice"):
        check_shared_weights(model, tmp_path)


def test_a_masked_model_is_refused_alike_by_training_and_evaluation(
    matrix: ModuleType, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    matrix.save_random_model("llama", base)  # the tokenizer
    config = transformers.BertConfig(
        vocab_size=matrix.VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.BertLMHeadModel(config).save_pretrained(base)
    said = set()
    for use in (load_model, lambda path: open_engine(path)):
        with pytest.raises(ModelError) as caught:
            use(base)
        said.add(str(caught.value))
    assert len(said) == 1 and "not a causal model" in said.pop()


def open_engine(base: Path) -> LocalEngine:
    from residency.chat.chat_format import ChatFormat
    from residency.model.load_model import load_tokenizer

    return LocalEngine(base, ChatFormat(load_tokenizer(base)), device="cpu", threads=1)
