"""The training loop: it learns, resumes bit for bit, refuses bad rows, and its cache is exact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from residency.config.train import TrainConfig
from residency.errors import DataError, ResumeError, TemplateError, TrainingError
from residency.interfaces import TokenRow
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions

VOCABULARY, END = 97, 2
SETTINGS = TrainConfig(
    rank=4, alpha=8, layers="all", epochs=3, batch_size=4, learning_rate=3e-2, warmup=0.0
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama with grouped-query attention."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=END,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("base")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_rows(count: int = 22, seed: int = 0) -> list[TokenRow]:
    """Rows that begin alike (as a shared system prompt does) and end with the end token."""
    random = np.random.default_rng(seed)
    start = [1, *random.integers(3, VOCABULARY, 11).tolist()]
    rows = []
    for number in range(count):
        prompt = start + random.integers(3, VOCABULARY, random.integers(2, 9)).tolist()
        answer = [*random.integers(3, VOCABULARY, random.integers(2, 7)).tolist(), END]
        mask = (False,) * len(prompt) + (True,) * len(answer)
        rows.append(TokenRow(f"ex-{number}", tuple(prompt + answer), mask))
    return rows


def adapter(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_it_learns_and_peft_loads_the_adapter_with_nothing_of_ours(
    base: Path, tmp_path: Path
) -> None:
    result = train(base, make_rows(), SETTINGS, tmp_path, TrainOptions(seed=1))
    assert result.steps == 18 and len(result.losses) == 18
    assert np.mean(result.losses[-6:]) < np.mean(result.losses[:6]) - 0.02
    assert result.trained_tokens == 3 * sum(sum(r.mask) for r in make_rows())
    assert result.tokens == 3 * sum(len(r.ids) for r in make_rows())
    script = f"""
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained({str(base)!r})
plain = model(torch.tensor([[1, 5, 9]])).logits
tuned = PeftModel.from_pretrained(model, {str(result.folder)!r})(torch.tensor([[1, 5, 9]])).logits
assert (plain - tuned).abs().max() > 1e-3
torch.save(tuned, {str(tmp_path / "logits.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    from residency.model.load_model import load_model

    with torch.no_grad():
        ours = load_model(base, result.folder, device="cpu")(torch.tensor([[1, 5, 9]])).logits
    theirs = torch.load(tmp_path / "logits.pt", weights_only=True)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_complete_run_returns_at_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(base, make_rows(), SETTINGS, tmp_path, TrainOptions(seed=1))

    def no(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr("residency.train.train_loop.load_model", no)
    assert train(base, make_rows(), SETTINGS, tmp_path, TrainOptions(seed=1)) == first


class StopError(Exception):
    pass


@pytest.mark.parametrize(("method", "dropout"), [("lora", 0.0), ("lora", 0.1), ("full", 0.0)])
def test_pain_12_a_resumed_run_ends_with_the_same_bits(
    base: Path, tmp_path: Path, method: str, dropout: float
) -> None:
    settings = SETTINGS.model_copy(update={"method": method, "dropout": dropout})
    whole = train(base, make_rows(), settings, tmp_path / "whole", TrainOptions(seed=1))

    def stop_at(step: int):  # type: ignore[no-untyped-def]
        def on_event(event):  # type: ignore[no-untyped-def]
            if event["step"] == step:
                raise StopError

        return on_event

    for step in (3, 8, 17):
        with pytest.raises(StopError):
            train(
                base,
                make_rows(),
                settings,
                tmp_path / "cut",
                TrainOptions(seed=1, checkpoint_every=2, on_event=stop_at(step)),
            )
    cut = train(
        base, make_rows(), settings, tmp_path / "cut", TrainOptions(seed=1, checkpoint_every=2)
    )
    assert cut.losses == whole.losses
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    assert same(load_file(cut.folder / name), load_file(whole.folder / name))


def test_pain_12_a_checkpoint_with_a_flipped_bit_is_not_gone_on_from(
    base: Path, tmp_path: Path
) -> None:
    def stop(event: Mapping[str, Any]) -> None:
        if event["step"] == 3:
            raise StopError

    options = TrainOptions(seed=1, checkpoint_every=2, on_event=stop)
    with pytest.raises(StopError):
        train(base, make_rows(), SETTINGS, tmp_path, options)
    [weights] = tmp_path.glob("checkpoints/step-*/optimizer.safetensors")
    flip_a_bit(weights)
    with pytest.raises(ResumeError, match="is not what was written"):
        train(base, make_rows(), SETTINGS, tmp_path, options)


def test_pain_12_a_resume_with_other_data_or_settings_is_refused_by_name(
    base: Path, tmp_path: Path
) -> None:
    train(base, make_rows(), SETTINGS, tmp_path, TrainOptions(seed=1, hashes={"template": "a"}))
    other = SETTINGS.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(ResumeError, match=r"train\.learning_rate: 0.03 then, 0.0001 now"):
        train(base, make_rows(), other, tmp_path, TrainOptions(seed=1, hashes={"template": "a"}))
    with pytest.raises(ResumeError, match=r"hash\.template: 'a' then, 'b' now"):
        train(base, make_rows(), SETTINGS, tmp_path, TrainOptions(seed=1, hashes={"template": "b"}))
    with pytest.raises(ResumeError, match="rows: "):
        train(
            base, make_rows(21), SETTINGS, tmp_path, TrainOptions(seed=1, hashes={"template": "a"})
        )


def test_the_frozen_trunk_gives_the_same_losses_and_is_shared_by_runs(
    base: Path, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"layers": "top-1"})
    plain = train(base, make_rows(), settings, tmp_path / "plain", TrainOptions(seed=1))
    cache = tmp_path / "trunk"
    cached = train(
        base, make_rows(), settings, tmp_path / "a", TrainOptions(seed=1, trunk_cache=cache)
    )
    shards = {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")}
    assert shards
    assert np.allclose(plain.losses, cached.losses, atol=1e-5)
    left, right = adapter(plain.folder), adapter(cached.folder)
    assert all(torch.allclose(left[k], right[k], atol=1e-4) for k in left)
    again = train(
        base, make_rows(), settings, tmp_path / "b", TrainOptions(seed=1, trunk_cache=cache)
    )
    assert again.losses == cached.losses
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.safetensors")} == shards


def test_pain_02_a_row_without_a_trained_token_is_refused(base: Path, tmp_path: Path) -> None:
    rows = make_rows()
    rows[4] = TokenRow("ex-bad", rows[4].ids, (False,) * len(rows[4].ids))
    with pytest.raises(DataError, match=r"row 5 \(ex-bad\).*no token of this row is trained"):
        train(base, rows, SETTINGS, tmp_path, TrainOptions(seed=1))


def test_pain_04_rows_that_never_train_the_end_token_are_refused(
    base: Path, tmp_path: Path
) -> None:
    rows = [TokenRow(r.example, r.ids, (*r.mask[:-1], False)) for r in make_rows()]
    with pytest.raises(TemplateError, match="would never stop"):
        train(base, rows, SETTINGS, tmp_path, TrainOptions(seed=1))


def test_pain_07_two_beginning_tokens_are_refused(base: Path, tmp_path: Path) -> None:
    rows = [TokenRow(r.example, (1, *r.ids), (False, *r.mask)) for r in make_rows()]
    with pytest.raises(TemplateError, match="two beginning"):
        train(base, rows, SETTINGS, tmp_path, TrainOptions(seed=1))


def test_a_non_finite_step_is_refused_and_the_last_checkpoint_kept(
    base: Path, tmp_path: Path
) -> None:
    rows = make_rows()
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "schedule": "constant"})
    with pytest.raises(TrainingError, match="gradient norm"):
        train(base, rows, wild, tmp_path, TrainOptions(seed=1, checkpoint_every=1))
    kept = sorted((tmp_path / "checkpoints").glob("step-*"))
    assert kept
    weights = load_file(kept[-1] / "weights.safetensors")
    assert all(torch.isfinite(w).all() for w in weights.values())


KILLED = """
import sys, pickle, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train_loop import SETTINGS, make_rows
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions
torch.set_num_threads(1)
settings = SETTINGS.model_copy(update={{"layers": "top-2", "epochs": 24.0}})
train(Path({base!r}), make_rows(), settings, Path({out!r}),
      TrainOptions(seed=1, checkpoint_every=2, trunk_cache=Path({out!r}) / "trunk"))
"""


@pytest.mark.slow
def test_pain_12_kill_9_at_random_moments_changes_nothing(base: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"layers": "top-2", "epochs": 24.0})
    whole = train(
        base,
        make_rows(),
        settings,
        tmp_path / "w",
        TrainOptions(seed=1, trunk_cache=tmp_path / "w" / "trunk"),
    )
    out = tmp_path / "k"
    script = KILLED.format(tests=str(Path(__file__).parent), base=str(base), out=str(out))
    random = np.random.default_rng(0)
    kills = 0
    for _ in range(40):
        child = subprocess.Popen([sys.executable, "-c", script])
        began = time.monotonic()
        while child.poll() is None and not list(out.glob("checkpoints/step-*")):
            time.sleep(0.01)
            assert time.monotonic() - began < 60
        try:
            child.wait(float(random.uniform(0.0, 0.3)) + (3.0 if kills else 0.0))
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            kills += 1
        if child.returncode == 0 or kills == 3:
            break
    assert kills
    result = train(
        base,
        make_rows(),
        settings,
        out,
        TrainOptions(seed=1, checkpoint_every=2, trunk_cache=out / "trunk"),
    )
    assert result.losses == whole.losses
    assert same(adapter(result.folder), adapter(whole.folder))


def test_pain_15_the_best_checkpoint_is_chosen_by_the_callers_metric(
    base: Path, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"eval_every": 3, "early_stopping": 2})
    scores = iter([0.1, 0.9, 0.3, 0.2, 0.8, 0.7])
    seen = []

    def evaluate(model):  # type: ignore[no-untyped-def]
        assert not model.training
        with torch.no_grad():
            seen.append(model(torch.tensor([[1, 5, 9]])).logits)
        return next(scores)

    result = train(base, make_rows(), settings, tmp_path, TrainOptions(seed=1, evaluate=evaluate))
    assert result.evaluations == ((3, 0.1), (6, 0.9), (9, 0.3), (12, 0.2))
    assert result.stopped_early and result.steps == 12
    assert result.best_step == 6 and result.best_score == 0.9
    from residency.model.load_model import load_model

    with torch.no_grad():
        kept = load_model(base, result.folder, device="cpu")(torch.tensor([[1, 5, 9]])).logits
    assert torch.allclose(kept, seen[1], atol=1e-5)
    assert not torch.allclose(kept, seen[3], atol=1e-5)
    assert (
        train(base, make_rows(), settings, tmp_path, TrainOptions(seed=1, evaluate=evaluate))
        == result
    )


def test_evaluating_does_not_change_the_run(base: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"eval_every": 2, "dropout": 0.2})
    plain = train(base, make_rows(), settings, tmp_path / "plain", TrainOptions(seed=1))
    watched = train(
        base,
        make_rows(),
        settings,
        tmp_path / "watched",
        TrainOptions(seed=1, evaluate=lambda m: torch.rand(1)),
    )
    by_loss = train(
        base, make_rows(), settings, tmp_path / "dev", TrainOptions(seed=1, dev=make_rows(5, 1))
    )
    assert plain.losses == watched.losses == by_loss.losses
    assert all(score < 0 for _, score in by_loss.evaluations) and by_loss.best_step


def test_each_step_reports_its_metrics(base: Path, tmp_path: Path) -> None:
    events: list[dict[str, float]] = []
    train(
        base,
        make_rows(),
        SETTINGS,
        tmp_path,
        TrainOptions(seed=1, on_event=lambda e: events.append(dict(e))),
    )
    assert [e["step"] for e in events] == list(range(1, 19))
    assert events[-1]["seconds_left"] == 0
    for event in events:
        assert {"loss", "grad_norm", "learning_rate"} < event.keys()
        assert event["tokens_per_second"] > event["trained_tokens_per_second"] > 0
        assert 0 < event["model_flop_utilisation"] < 1
        assert event["memory_bytes"] > 1e6


def test_extend_goes_on_and_is_refused_unless_asked_for(base: Path, tmp_path: Path) -> None:
    flat = SETTINGS.model_copy(update={"schedule": "constant"})
    longer = flat.model_copy(update={"epochs": 5.0})
    train(base, make_rows(), flat, tmp_path / "a", TrainOptions(seed=1))
    with pytest.raises(ResumeError, match=r"train\.epochs: 3.0 then, 5.0 now"):
        train(base, make_rows(), longer, tmp_path / "a", TrainOptions(seed=1))
    extended = train(base, make_rows(), longer, tmp_path / "a", TrainOptions(seed=1, extend=True))
    whole = train(base, make_rows(), longer, tmp_path / "b", TrainOptions(seed=1))
    assert extended.losses == whole.losses


def test_the_full_objective_trains_every_token(base: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"objective": "full", "epochs": 1.0})
    result = train(base, make_rows(), settings, tmp_path, TrainOptions(seed=1))
    assert result.trained_tokens == sum(len(r.ids) - 1 for r in make_rows())


def test_a_trunk_made_by_other_weights_is_not_used(base: Path, tmp_path: Path) -> None:
    """The same identity, other weights: noticed, because an entry is computed again."""
    from safetensors.torch import save_file

    from residency.errors import ModelError
    from residency.train.trunk_cache import sum_entries

    settings = SETTINGS.model_copy(update={"layers": "top-1"})
    cache = tmp_path / "trunk"
    hashes = {"base": "same name"}
    train(
        base,
        make_rows(),
        settings,
        tmp_path / "a",
        TrainOptions(seed=1, trunk_cache=cache, hashes=hashes),
    )
    for shard in cache.rglob("*.safetensors"):
        other = {k: v + 0.1 for k, v in load_file(shard).items()}
        save_file(other, shard, metadata={"sum": sum_entries(other)})
    with pytest.raises(ModelError, match="made by other weights"):
        train(
            base,
            make_rows(),
            settings,
            tmp_path / "b",
            TrainOptions(seed=1, trunk_cache=cache, hashes=hashes),
        )


def test_pain_19_another_tokenization_finds_no_entry(base: Path, tmp_path: Path) -> None:
    from residency.model.decoder import Decoder
    from residency.model.load_model import load_model
    from residency.train.trunk_cache import TrunkCache

    decoder = Decoder(load_model(base, device="cpu"))
    first = TrunkCache(tmp_path, decoder, 2, "base-1")
    first.fill([[1, 5, 9], [1, 5, 9, 4]])
    assert first.computed == 2
    again = TrunkCache(tmp_path, decoder, 2, "base-1")
    again.fill([[1, 5, 9], [1, 5, 8]])
    assert (again.reused, again.computed) == (1, 1)
    for other in (
        TrunkCache(tmp_path, decoder, 2, "base-2"),
        TrunkCache(tmp_path, decoder, 1, "base-1"),
    ):
        other.fill([[1, 5, 9]])
        assert (other.reused, other.computed) == (0, 1)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 4
    path.write_bytes(data)


def cut_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [cut_the_end, flip_a_bit])
def test_a_damaged_shard_is_computed_again(
    base: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    settings = SETTINGS.model_copy(update={"layers": "top-1"})
    cache = tmp_path / "trunk"
    first = train(
        base, make_rows(), settings, tmp_path / "a", TrainOptions(seed=1, trunk_cache=cache)
    )
    for shard in cache.rglob("*.safetensors"):
        damage(shard)
    again = train(
        base, make_rows(), settings, tmp_path / "b", TrainOptions(seed=1, trunk_cache=cache)
    )
    assert again.losses == first.losses


def test_four_bits_without_bitsandbytes_name_the_extra(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.errors import MissingExtraError

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = SETTINGS.model_copy(update={"quantize": "nf4"})
    with pytest.raises(MissingExtraError, match="bitsandbytes"):
        train(base, make_rows(), settings, tmp_path, TrainOptions(seed=1, device="cpu"))


def test_bf16_products_stay_near_fp32_and_auto_is_fp32_on_a_cpu(base: Path, tmp_path: Path) -> None:
    runs = {}
    for precision in ("fp32", "auto", "bf16"):
        settings = SETTINGS.model_copy(update={"precision": precision})
        runs[precision] = train(
            base, make_rows(), settings, tmp_path / precision, TrainOptions(seed=1, device="cpu")
        )
    assert runs["auto"].losses == runs["fp32"].losses
    assert runs["bf16"].losses != runs["fp32"].losses
    assert np.allclose(runs["bf16"].losses, runs["fp32"].losses, atol=0.05)


def test_the_named_tracker_gets_the_metrics(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residency.train import reporter as report

    seen: list[float] = []
    ended: list[bool] = []

    def fake(name: str, folder: Path, run: str):  # type: ignore[no-untyped-def]
        assert (name, run) == ("trackio", "run-7")
        return (lambda event: seen.append(event["loss"])), (lambda: ended.append(True))

    monkeypatch.setattr(report, "open_tracker", fake)
    settings = SETTINGS.model_copy(update={"track": "trackio"})
    result = train(base, make_rows(), settings, tmp_path / "run-7", TrainOptions(seed=1))
    assert tuple(seen) == result.losses and ended == [True]
    assert train(base, make_rows(), SETTINGS, tmp_path / "run-7", TrainOptions(seed=1)) == result


def test_pain_01_the_trained_tokens_are_the_masked_ones_and_no_others(
    base: Path, tmp_path: Path
) -> None:
    """The first loss is that of the masked tokens, by the bare model's own logits."""
    from residency.model.load_model import load_model

    settings = SETTINGS.model_copy(update={"batch_size": 22, "epochs": 1.0})
    result = train(base, make_rows(), settings, tmp_path, TrainOptions(seed=1))
    model = load_model(base, device="cpu")
    nll = []
    for row in make_rows():
        ids = torch.tensor([row.ids])
        with torch.no_grad():
            logp = model(ids).logits[0].log_softmax(-1)
        nll += [-logp[i - 1, row.ids[i]].item() for i in range(len(row.ids)) if row.mask[i]]
    assert result.trained_tokens == len(nll)
    assert abs(result.losses[0] - np.mean(nll)) < 1e-5


def test_pain_03_rows_whose_end_was_cut_are_counted(base: Path, tmp_path: Path) -> None:
    rows = make_rows()
    rows[0] = TokenRow("cut", rows[0].ids[:-1], rows[0].mask[:-1])
    result = train(base, rows, SETTINGS, tmp_path, TrainOptions(seed=1))
    assert result.notes[0] == "1 of 22 rows train no end token (cut?)"
    assert len(result.notes) == 2  # the other tells what share of the weights is trained


def test_a_metric_of_the_written_weights_chooses_the_step_and_resumes_bit_for_bit(
    base: Path, tmp_path: Path
) -> None:
    """Evaluation draws random numbers and reads the folder; the training does not notice."""
    settings = SETTINGS.model_copy(update={"eval_every": 4, "dropout": 0.2})
    seen: list[dict[str, torch.Tensor]] = []

    def evaluate(folder: Path) -> float:
        torch.rand(7)
        seen.append(adapter(folder))
        return float(sum(value.abs().sum() for value in seen[-1].values())) % 1.0

    options = TrainOptions(seed=1, evaluate_folder=evaluate, checkpoint_every=5)
    whole = train(base, make_rows(), settings, tmp_path / "whole", options)
    scores = dict(whole.evaluations)
    assert list(scores) == [4, 8, 12, 16, 18]
    assert whole.best_score == max(scores.values())
    assert same(adapter(whole.folder), seen[list(scores).index(whole.best_step)])
    assert not (tmp_path / "whole" / "scored").exists()

    class CutError(Exception):
        pass

    def cut(event: Mapping[str, float]) -> None:
        if event["step"] == 11:
            raise CutError

    part = TrainOptions(seed=1, evaluate_folder=evaluate, checkpoint_every=5, on_event=cut)
    with pytest.raises(CutError):
        train(base, make_rows(), settings, tmp_path / "cut", part)
    resumed = train(base, make_rows(), settings, tmp_path / "cut", options)
    assert (resumed.evaluations, resumed.losses) == (whole.evaluations, whole.losses)
    assert same(adapter(resumed.folder), adapter(whole.folder))
    silent = SETTINGS.model_copy(update={"dropout": 0.2})
    plain = train(base, make_rows(), silent, tmp_path / "plain", TrainOptions(seed=1))
    assert plain.losses == whole.losses


def test_while_nothing_is_right_the_last_step_is_kept_and_patience_waits(
    base: Path, tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"eval_every": 3, "early_stopping": 2})
    right = iter([0.0, 0.0, 0.0, 0.5, 0.4, 0.4])
    options = TrainOptions(evaluate_folder=lambda folder: next(right))
    result = train(base, make_rows(), settings, tmp_path / "run", options)
    assert (result.best_step, result.stopped_early, result.steps) == (12, False, 18)
    right = iter([0.0, 0.5, 0.4, 0.4])
    options = TrainOptions(evaluate_folder=lambda folder: next(right))
    result = train(base, make_rows(), settings, tmp_path / "stopped", options)
    assert (result.best_step, result.stopped_early, result.steps) == (6, True, 12)
