"""Whatever leaves declares every token that its training taught to end an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from residency.config.train import TrainConfig
from residency.errors import ParityError
from residency.interfaces import TokenRow
from residency.model import merging
from residency.model.end_ids import find_trained_ends, read_declared_ends
from residency.model.merging import merge_adapter
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions
from tiny_archs import VOCABULARY, tiny

END_OF_TEXT, TURN_END = 2, 5
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that declares <|endoftext|>, as most do, while its template ends turns otherwise."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("ends") / "base"
    model = tiny("llama")
    model.generation_config = GenerationConfig(eos_token_id=END_OF_TEXT)
    model.save_pretrained(folder)
    words = {f"w{n}": n for n in range(VOCABULARY)}
    for text, number in {"<|endoftext|>": 2, "<|im_start|>": 4, "<|im_end|>": 5}.items():
        words = {k: v for k, v in words.items() if v != number} | {text: number}
    raw = Tokenizer(models.WordLevel(words, unk_token="w3"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    raw.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": "<|endoftext|>",
                "chat_template": CHATML,
            }
        )
    )
    return folder


def chat_rows() -> list[TokenRow]:
    prompt = (4, 10, 11, TURN_END, 4, 12)
    out = []
    for n in range(6):
        answer = (20, 30, TURN_END)
        mask = (False,) * len(prompt) + (True,) * len(answer)
        out.append(TokenRow(f"row-{n}", prompt + answer, mask))
    return out


def settings(method: str) -> TrainConfig:
    return TrainConfig(
        method=method, rank=4, layers="all", epochs=25, batch_size=6, learning_rate=2e-2, warmup=0
    )


def check_stock_generate_stops(folder: Path) -> None:
    """By what stock transformers loads from the folder, and nothing of ours."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    out = model.generate(
        torch.tensor([[4, 10, 11, TURN_END, 4, 12]]),
        attention_mask=torch.ones(1, 6, dtype=torch.long),
        max_new_tokens=20,
        do_sample=False,
        pad_token_id=0,
    )[0, 6:].tolist()
    assert out[-1] == TURN_END and out.count(TURN_END) == 1, out
    for ends in (model.generation_config.eos_token_id, model.config.eos_token_id):
        assert {TURN_END, END_OF_TEXT} <= set(ends)
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == TURN_END


def test_pain_33_a_merged_model_stops_at_the_end_of_a_turn(base: Path, tmp_path: Path) -> None:
    run = train(base, chat_rows(), settings("lora"), tmp_path / "run", TrainOptions(seed=1))
    assert read_declared_ends(run.folder) == [TURN_END]
    proof = merge_adapter(base, run.folder, tmp_path / "merged")
    assert set(proof.ends) == {TURN_END, END_OF_TEXT}
    check_stock_generate_stops(tmp_path / "merged")


def test_pain_33_an_adapter_that_notes_no_ends_gets_those_of_the_chat_template(
    base: Path, tmp_path: Path
) -> None:
    run = train(base, chat_rows(), settings("lora"), tmp_path / "run", TrainOptions(seed=1))
    (run.folder / "generation_config.json").unlink()  # as anyone's adapter
    merge_adapter(base, run.folder, tmp_path / "merged")
    check_stock_generate_stops(tmp_path / "merged")


def test_pain_33_full_training_writes_a_model_that_stops(base: Path, tmp_path: Path) -> None:
    full = settings("full").model_copy(update={"learning_rate": 5e-3})
    run = train(base, chat_rows(), full, tmp_path / "run", TrainOptions(seed=1))
    check_stock_generate_stops(run.folder)


def test_pain_33_the_proof_notices_an_end_that_was_not_declared(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(base, chat_rows(), settings("lora"), tmp_path / "run", TrainOptions(seed=1))
    monkeypatch.setattr(merging, "write_ends", lambda folder, ends: None)
    with pytest.raises(ParityError, match=f"does not stop at {TURN_END}"):
        merge_adapter(base, run.folder, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_the_end_is_found_before_a_trained_line_break_and_nowhere_else(base: Path) -> None:
    ids = (4, 10, TURN_END, 7, 4, 11, 20, TURN_END, 7)
    mask = (False, False, False, False, False, False, True, True, True)
    assert find_trained_ends([TokenRow("x", ids, mask)], base, {END_OF_TEXT}) == [TURN_END]
    # A special token in the middle of an answer is no end.
    ids = (10, 4, 20, 21, END_OF_TEXT)
    assert find_trained_ends(
        [TokenRow("x", ids, (False, True, True, True, True))], base, {END_OF_TEXT}
    ) == [END_OF_TEXT]
    cut = TokenRow("x", (10, 20, 21), (False, True, True))
    assert find_trained_ends([cut], base, {END_OF_TEXT}) == []
