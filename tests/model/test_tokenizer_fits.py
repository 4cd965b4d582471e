"""Tokens without weights, adapters in a base's place, and files that are not there but pointed at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from residency.chat.chat_format import ChatFormat
from residency.errors import ModelError
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Prompt
from residency.model.base_model import resolve_base
from residency.nouns.example import Message
from residency.nouns.response import Sampling
from small import save_model

ROLES = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKED = ROLES.replace("<|{{ m.role }}|>", "{{ '<|user|>' if m.role == 'user' else '<|bot|>' }}")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_model(tmp_path / "base")


def add_tokens(base: Path, tokens: list[str], template: str | None, **special: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(tokens)
    tokenizer.add_special_tokens(special)
    if template is not None:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(base)


def test_marks_of_the_template_without_rows_are_refused_before_anything_runs(base: Path) -> None:
    add_tokens(base, ["<|user|>", "<|bot|>"], MARKED)
    with pytest.raises(ModelError, match=r"no weights: '<\|user\|>' \(320\), '<\|bot\|>' \(321\)"):
        resolve_base(str(base))


def test_an_end_token_without_a_row_is_refused(base: Path) -> None:
    add_tokens(base, [], None, eos_token="<|stop|>")
    with pytest.raises(ModelError, match=r"'<\|stop\|>' \(320\)"):
        resolve_base(str(base))


def test_the_tokenizer_of_a_larger_model_is_refused(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "vocab_size": 300}))
    with pytest.raises(ModelError, match=r"no weights: .* and 16 more; .* 300 rows"):
        resolve_base(str(base))


def test_a_token_that_no_conversation_needs_may_lack_its_row(base: Path) -> None:
    """A padding token beyond the embeddings is common, and nothing here asks for its row."""
    add_tokens(base, ["[IMG]"], None, pad_token="[PAD]")
    folder = resolve_base(str(base)).path
    tokenizer = AutoTokenizer.from_pretrained(folder)
    engine = LocalEngine(folder, chat=ChatFormat(tokenizer))
    prompts = [Prompt((Message("user", text),)) for text in ("see [IMG] here", "see this here")]
    answers = engine.generate(prompts, Sampling(max_new_tokens=4))
    assert [a.finish == "error" for a in answers] == [True, False]
    assert "token 320" in answers[0].error or "token 321" in answers[0].error


def save_adapter(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    settings = {"peft_type": "LORA", "base_model_name_or_path": "org/their-base", "r": 4}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").write_bytes(b"")


def test_an_adapter_is_told_from_a_model(base: Path, tmp_path: Path) -> None:
    save_adapter(tmp_path / "adapter")
    with pytest.raises(ModelError, match="an adapter of org/their-base, not a model") as caught:
        resolve_base(str(tmp_path / "adapter"))
    assert "merge_and_unload" in caught.value.next_step


def test_an_adapter_beside_weights_is_refused(base: Path) -> None:
    """transformers adds it where PEFT is installed and leaves it out elsewhere, without a word."""
    save_adapter(base)
    with pytest.raises(ModelError, match=r"a model and an adapter of org/their-base"):
        resolve_base(str(base))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_in_a_files_place_is_named(name: str, base: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(base, clone)
    (clone / name).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    )
    with pytest.raises(ModelError, match="Git LFS pointer") as caught:
        resolve_base(str(clone))
    assert name in str(caught.value)
    assert "git lfs pull" in caught.value.next_step
