"""A fixed sample of the matrix of architectures: each works end to end, or is refused with a reason.

The whole matrix is ``python benchmarks/architectures.py``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
import transformers

from residency.errors import ModelError
from residency.infer.local_engine import LocalEngine
from residency.model.load_model import load_model

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "architectures.py"
WORKING = {
    "gpt_neox": "rotary positions on a part of a head, biases",
    "opt": "its body calls a decoder of its own",
    "mamba": "a state-space model: no attention at all",
    "qwen3_moe": "a mixture whose experts lie in one parameter",
    "phi3": "one product for queries, keys and values",
    "bloom": "positions as biases of attention",
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
