"""``residency pretrain``: from raw text to a model, measured, resumable, and clear when refused."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from limits import files_of_at_most
from residency.commands.pretrain import pretrain, snapshot
from residency.errors import ConfigError, DataError, ModelError, ResumeError, StoreError
from residency.interfaces import ProgressEvent
from residency.model.attention import Layout, flat_attention
from residency.model.load_model import load_model
from residency.pretraining.bits_per_byte import bits_per_byte, held_out_rows, token_bytes
from residency.pretraining.documents import Document
from residency.pretraining.fresh_model import Shape, new_model
from residency.pretraining.recipe import PretrainConfig, load_recipe, recipe_for
from residency.pretraining.token_files import token_file
from residency.pretraining.tokenizer import train_tokenizer
from residency.train.optimizer import MuonAdamW

torch.set_num_threads(1)

WORDS = "river stone lamp bread cloud seven winter garden letter music paper horse".split()  # noqa: SIM905


def text_of(number: int) -> str:
    """A document whose second half repeats its first: something to learn."""
    words = [WORDS[(number * 7 + i * i) % len(WORDS)] for i in range(30)]
    return " ".join(words) + ".\n" + " ".join(words) + "."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 30 text files."""
    out = tmp_path / "text"
    out.mkdir()
    for number in range(30):
        (out / f"{number:02d}.txt").write_text(text_of(number))
    return out


def small(folder: Path, **run: Any) -> PretrainConfig:
    """A recipe of a few seconds."""
    settings = {
        "tokens": 6400,
        "batch_tokens": 256,
        "context": 64,
        "eval_every": 10,
        "eval_tokens": 512,
        "checkpoint_every": 5,
        "warmup_steps": 3,
    }
    return PretrainConfig.model_validate(
        {
            "corpus": [{"path": str(folder), "held_out": 0.15}],
            "tokenizer": {"vocab_size": 290},
            "model": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "layers": 2,
                "heads": 2,
                "kv_heads": 1,
                "max_positions": 128,
            },
            "run": {**settings, **run},
        }
    )


def rows_of(path: Path) -> list[Any]:
    """The rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_model_is_trained_measured_and_loads_with_nothing_of_ours(
    folder: Path, tmp_path: Path
) -> None:
    recipe = small(folder, dtype="fp16", samples=["river"])
    result = pretrain(recipe, tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(result.folder)
    tokenizer = AutoTokenizer.from_pretrained(result.folder)
    assert model.dtype == torch.float16
    assert model.config.tie_word_embeddings
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert result.parameters == model.num_parameters()
    assert result.steps == 25
    log = rows_of(tmp_path / "out" / "log.jsonl")
    assert log[-1]["loss"] < 0.8 * math.log(290)
    held = rows_of(tmp_path / "out" / "held-out.jsonl")
    assert len(held) == 3  # after 10, 20 and 25 steps
    bits = [row["bits_per_byte"]["text"] for row in held]
    assert bits[-1] < bits[0]
    assert result.bits_per_byte["text"] == pytest.approx(bits[-1], rel=0.01)
    assert "river" in rows_of(tmp_path / "out" / "samples.jsonl")[0]


def test_the_record_names_settings_data_and_figures(folder: Path, tmp_path: Path) -> None:
    pretrain(small(folder), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "pretrain.json").read_text())
    assert record["recipe"]["run"]["tokens"] == 6400
    assert len(record["corpora"][0]["sha256"]) == 64
    assert record["result"]["bits_per_byte"]["text"] > 0


def test_documents_longer_than_the_context_are_told(folder: Path, tmp_path: Path) -> None:
    result = pretrain(small(folder), tmp_path / "out")
    assert any("longer than the context of 64 tokens" in note for note in result.notes)


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    """The saved weights."""
    return load_file(out / "model" / "model.safetensors")


class StopError(Exception):
    """Stands for the process being ended."""


def stop_after(steps: int) -> Any:
    """A progress callback that ends the run."""

    def progress(event: ProgressEvent) -> None:
        if event.stage == "train" and event.done >= steps:
            raise StopError

    return progress


@pytest.mark.parametrize("muon", [0.0, 0.02])
def test_a_run_that_was_ended_goes_on_to_the_same_weights(
    folder: Path, tmp_path: Path, muon: float
) -> None:
    recipe = small(folder, muon_rate=muon)
    pretrain(recipe, tmp_path / "whole")
    with pytest.raises(StopError):
        pretrain(recipe, tmp_path / "cut", progress=stop_after(13))
    pretrain(recipe, tmp_path / "cut")
    whole, cut = weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_pain_12_another_recipe_does_not_go_on_from_a_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StopError):
        pretrain(small(folder), tmp_path / "out", progress=stop_after(8))
    with pytest.raises(ResumeError, match="learning_rate"):
        pretrain(small(folder, learning_rate=0.1), tmp_path / "out")


def test_a_checkpoint_cut_in_half_leaves_the_last_good_one(folder: Path, tmp_path: Path) -> None:
    recipe = small(folder)
    out = tmp_path / "out"
    with pytest.raises(StopError):
        pretrain(recipe, out, progress=stop_after(8))
    good = next((out / "checkpoints").iterdir())
    half = out / "checkpoints" / ".step-00000010.1.tmp"  # what a kill in mid-write leaves
    shutil.copytree(good, half)
    weights = half / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert pretrain(recipe, out).steps == 25


@pytest.mark.parametrize("name", ["weights", "optimizer", "random", "state"])
def test_a_damaged_checkpoint_is_named_and_nothing_begins_anew_unasked(
    folder: Path, tmp_path: Path, name: str
) -> None:
    recipe, out = small(folder), tmp_path / "out"
    with pytest.raises(StopError):
        pretrain(recipe, out, progress=stop_after(8))
    good = next((out / "checkpoints").iterdir())
    file = next(good.glob(f"{name}.*"))
    file.write_bytes(file.read_bytes()[:60])
    for _ in range(2):
        with pytest.raises(ResumeError, match="damaged") as caught:
            pretrain(recipe, out)
        assert good.name in str(caught.value)
    shutil.rmtree(good)
    assert pretrain(recipe, out).steps == 25


def test_a_damaged_model_to_start_from_is_named(folder: Path, tmp_path: Path) -> None:
    recipe, out = small(folder), tmp_path / "out"
    with pytest.raises(StopError):
        pretrain(recipe, out, progress=stop_after(1))
    weights = out / "start" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="weights are damaged") as caught:
        pretrain(recipe, out)
    assert str(out / "start") in str(caught.value)
    shutil.rmtree(out / "start")
    assert pretrain(recipe, out).steps == 25


def test_a_snapshot_is_the_model_of_a_run_of_just_so_many_steps(
    folder: Path, tmp_path: Path
) -> None:
    """With a constant rate: so a run may be ended whenever time is up."""
    long = small(folder, schedule="constant", tokens=6400)
    with pytest.raises(StopError):
        pretrain(long, tmp_path / "long", progress=stop_after(11))
    snapshot(long, tmp_path / "long")
    short = small(folder, schedule="constant", tokens=2560, eval_every=0)
    pretrain(short, tmp_path / "short")
    ours, theirs = weights_of(tmp_path / "long"), weights_of(tmp_path / "short")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_snapshot_of_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="no checkpoint"):
        snapshot(small(folder), tmp_path / "out")


# --- going on from a model -------------------------------------------------------------------


def test_domain_adaptation_lowers_bits_per_byte_there_and_measures_elsewhere(
    folder: Path, tmp_path: Path
) -> None:
    first = pretrain(small(folder), tmp_path / "first")
    other = tmp_path / "other"
    other.mkdir()
    for number in range(12):
        (other / f"{number}.txt").write_text(" ".join([f"value {number} zebra quartz jump"] * 15))
    recipe = recipe_for(
        other,
        {"tokens": 5000, "batch_tokens": 256, "context": 64, "muon_rate": 0.0, "eval_tokens": 512},
    )
    result = pretrain(recipe, tmp_path / "second", start=str(first.folder), others=[folder])
    assert result.bits_per_byte["other"] < 0.8 * result.before["other"]
    assert set(result.before) == set(result.bits_per_byte) == {"other", "elsewhere-text"}
    ours = AutoTokenizer.from_pretrained(result.folder)
    assert ours.get_vocab() == AutoTokenizer.from_pretrained(first.folder).get_vocab()


def test_an_adapter_is_measured_on_its_base(folder: Path, tmp_path: Path) -> None:
    first = pretrain(small(folder), tmp_path / "first")
    recipe = small(folder, method="lora", rank=4, tokens=2560, muon_rate=0.0)
    result = pretrain(recipe, tmp_path / "second", start=str(first.folder))
    weights = load_file(result.folder / "adapter_model.safetensors")
    assert result.parameters == sum(value.numel() for value in weights.values())
    assert result.bits_per_byte["text"] < result.before["text"]
    held = rows_of(tmp_path / "second" / "held-out.jsonl")[-1]["bits_per_byte"]
    assert result.bits_per_byte["text"] == pytest.approx(held["text"], rel=1e-3)


def test_pain_19_other_text_of_the_same_name_is_measured_anew(folder: Path, tmp_path: Path) -> None:
    first = pretrain(small(folder), tmp_path / "first")
    recipe = small(folder, tokens=512, muon_rate=0.0)
    others = [tmp_path / name / "notes.txt" for name in "ab"]
    for number, path in enumerate(others):
        path.parent.mkdir()
        path.write_text(text_of(100) if number == 0 else "zebra quartz jump " * 40)

    def measured(others: list[Path]) -> tuple[Any, Any]:
        result = pretrain(recipe, tmp_path / "out", start=str(first.folder), others=others)
        return result.before, result.bits_per_byte

    one, after = measured(others[:1])
    two, after_two = measured(others[1:])
    both, _ = measured(others)
    assert one["text"] == two["text"] == both["text"]
    assert two["elsewhere-notes"] > 1.5 * one["elsewhere-notes"]
    assert after_two["elsewhere-notes"] > 1.5 * after["elsewhere-notes"]
    assert both["elsewhere-notes"] == one["elsewhere-notes"]
    assert both["elsewhere-notes-2"] == two["elsewhere-notes"]


def test_an_adapter_needs_a_model(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="adapter"):
        pretrain(small(folder, method="lora"), tmp_path / "out")


# --- what is measured ------------------------------------------------------------------------


def test_bits_per_byte_equals_plain_transformers(folder: Path, tmp_path: Path) -> None:
    train_tokenizer([text_of(i) for i in range(30)], 290, tmp_path / "tok")
    shape = Shape(32, 64, 2, 2, 1, 128)
    new_model(tmp_path / "tok", shape, tmp_path / "model", seed=0)
    model = load_model(tmp_path / "model", dtype="fp32", device=torch.device("cpu")).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tok")
    documents = [Document(text_of(i) + " é€", "x") for i in range(3)]
    file = token_file(documents, tokenizer.backend_tokenizer, 0, tmp_path / "t", "k")
    held = held_out_rows("h", file, context=40, limit=10_000, sizes=token_bytes(tokenizer))
    nats = 0.0
    with torch.no_grad():
        for row in held.rows:
            ids = torch.tensor([row.ids])
            nats += float(model(ids, labels=ids).loss) * (len(row.ids) - 1)
    assert bits_per_byte(model, held) == pytest.approx(
        nats / math.log(2) / held.text_bytes, rel=1e-5
    )
    # Bytes of the text itself, less those of each piece's first token.
    first = sum(int(token_bytes(tokenizer)[row.ids[0]]) for row in held.rows)
    assert held.text_bytes + first == sum(len(d.text.encode()) for d in documents)


def test_a_fresh_model_predicts_uniformly(tmp_path: Path) -> None:
    train_tokenizer([text_of(i) for i in range(30)], 290, tmp_path / "tok")
    count = new_model(tmp_path / "tok", Shape(32, 64, 2, 2, 1, 128), tmp_path / "m", seed=0)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert count == model.num_parameters()
    ids = torch.randint(0, 290, (1, 60), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = float(model(ids, labels=ids).loss)
    assert loss == pytest.approx(math.log(290), rel=0.05)


def test_muon_takes_the_matrices_inside_and_adamw_the_rest(tmp_path: Path) -> None:
    train_tokenizer([text_of(i) for i in range(30)], 290, tmp_path / "tok")
    new_model(tmp_path / "tok", Shape(32, 64, 1, 2, 1, 128), tmp_path / "m", seed=0)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    named = dict(model.named_parameters())
    optimizer = MuonAdamW(named, learning_rate=1e-3, muon_rate=1e-2, weight_decay=0.0)
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in named.values())
    before = {name: p.detach().clone() for name, p in named.items()}
    ids = torch.arange(50)[None]
    model(ids, labels=ids).loss.backward()
    optimizer.step()
    # The only matrix of a fresh model whose gradient is not zero: what writes to the stream.
    name = "model.layers.0.mlp.down_proj.weight"
    singular = torch.linalg.svdvals((named[name] - before[name]).detach().float())
    assert singular.max() / singular.median() < 3  # nearly orthogonal: Muon
    moved = (
        (named["model.embed_tokens.weight"] - before["model.embed_tokens.weight"]).detach().abs()
    )
    assert float(moved.max()) == pytest.approx(1e-3, rel=0.05)  # AdamW's first step is ±rate
    assert "exp_avg" in optimizer.state[named["model.embed_tokens.weight"]]


def test_bf16_products_on_cpu_agree_with_fp32_attention() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(200, heads, 16) for heads in (4, 2, 2))
    layout = Layout((64, 130, 6))
    exact = flat_attention(q, k, v, layout, scale=0.25)
    with torch.autocast("cpu", torch.bfloat16):
        near = flat_attention(q, k, v, layout, scale=0.25)
    assert near.dtype == torch.bfloat16
    assert float((near.float() - exact).abs().max()) < 0.04


# --- refusals --------------------------------------------------------------------------------


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    with pytest.raises(DataError, match="no text here"):
        pretrain(small(tmp_path / "text"), tmp_path / "out")
    (tmp_path / "text" / "blank.txt").write_text(" \n\n")
    with pytest.raises(DataError, match="every document is empty"):
        pretrain(small(tmp_path / "text"), tmp_path / "out")
    with pytest.raises(ConfigError, match="no text to train on"):
        pretrain(PretrainConfig(), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.*"))


def test_a_binary_file_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    (folder / "zz.txt").write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match=r"zz\.txt: a binary file"):
        pretrain(small(folder), tmp_path / "out")


def test_a_vocabulary_too_large_for_the_text_is_refused(folder: Path, tmp_path: Path) -> None:
    recipe = small(folder)
    recipe = recipe.model_copy(
        update={"tokenizer": recipe.tokenizer.model_copy(update={"vocab_size": 9000})}
    )
    with pytest.raises(DataError, match="supports a vocabulary of"):
        pretrain(recipe, tmp_path / "out")


def test_a_full_disk_is_told_and_the_last_checkpoint_kept(folder: Path, tmp_path: Path) -> None:
    from residency.train import checkpoint

    recipe, out = small(folder, muon_rate=0.0), tmp_path / "out"
    with pytest.raises(StopError):
        pretrain(recipe, out, progress=stop_after(8))
    weights = (out / "start" / "model.safetensors").stat().st_size
    # Weights can still be written, the optimizer's two numbers for each cannot.
    with files_of_at_most(weights * 3 // 2), pytest.raises(StoreError, match="too large") as caught:
        pretrain(recipe, out)
    assert "same command" in str(caught.value)
    found = checkpoint.find_latest(out / "checkpoints")
    assert found is not None
    assert found[1].step == 5
    assert [path.name for path in (out / "checkpoints").iterdir()] == [found[0].name]
    assert pretrain(recipe, out).steps == 25


def test_a_disk_that_is_full_from_the_start_leaves_no_model(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with files_of_at_most(50_000), pytest.raises(StoreError, match="too large"):
        pretrain(small(folder), out)
    assert not (out / "model").exists()
    assert pretrain(small(folder), out).steps == 25
    shutil.rmtree(out / "model")
    with files_of_at_most(50_000), pytest.raises(StoreError, match="too large"):
        pretrain(small(folder), out)
    assert not (out / "model").exists()
    assert not list(out.rglob("*.partial"))
    assert pretrain(small(folder), out).folder.is_dir()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[run]\ntokenz = 3\n", "run.tokenz"),
        ("[model]\nhidden_size = 30\nheads = 4\n", "multiple of heads"),
        ("[run]\ncontext = 4096\n", "longer than model.max_positions"),
        ("not toml [", "not valid TOML"),
    ],
)
def test_a_wrong_recipe_says_where(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says.replace(".", r"\.")) as caught:
        load_recipe(file)
    assert "r.toml" in str(caught.value)


def test_paths_in_a_recipe_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[[corpus]]\npath = "data/x"\nheld_out = "data/y"\n')
    corpus = load_recipe(tmp_path / "r.toml").corpus[0]
    assert corpus.path == str(tmp_path / "data" / "x")
    assert corpus.held_out == str(tmp_path / "data" / "y")


def test_the_command_trains_and_prints(folder: Path, tmp_path: Path) -> None:
    from residency.cli.app import build_app

    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'[[corpus]]\npath = "{folder}"\nheld_out = 0.1\n[tokenizer]\nvocab_size = 290\n'
        "[model]\nhidden_size = 32\nintermediate_size = 64\nlayers = 1\nheads = 2\nkv_heads = 1\n"
        "[run]\ntokens = 600\nbatch_tokens = 200\ncontext = 64\neval_tokens = 200\n"
    )
    app = build_app(only="pretrain")
    out = str(tmp_path / "out")
    done = CliRunner().invoke(app, ["pretrain", str(recipe), "--out", out])
    assert done.exit_code == 0, done.output
    assert "text, held out: " in done.stdout
    assert "bits per byte" in done.stdout
    assert "M parameters" in done.stdout
    other = tmp_path / "other.txt"
    other.write_text("zebra quartz jump " * 40)
    more = ["pretrain", str(recipe), "--from", f"{out}/model", "--also", str(other)]
    gone = CliRunner().invoke(app, [*more, "--out", str(tmp_path / "more")])
    assert gone.exit_code == 0, gone.output
    assert re.search(r"text, held out: [\d.]+ bits per byte \(before: [\d.]+, -", gone.stdout)
    assert re.search(r"elsewhere, other: [\d.]+ bits per byte \(before: ", gone.stdout)
    snap = CliRunner().invoke(app, ["pretrain", str(recipe), "--out", out, "--snapshot"])
    assert snap.exit_code == 0, snap.output
