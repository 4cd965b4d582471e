"""Two processes give the losses of one, sharded or not, and a killed rank changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from residency.cli.invoke import run_command_line
from residency.config.train import TrainConfig
from residency.train.train_loop import train
from residency.train.train_options import TrainOptions
from residency.train.train_result import TrainResult
from small import save_model, save_project
from tiny_archs import rows, tiny

SETTINGS = TrainConfig(
    rank=4, alpha=8, layers="top-2", epochs=6, batch_size=4, learning_rate=1e-2, eval_every=5
)
CASES = {"two": "none", "killed": "none", "sharded": "full", "sharded-killed": "full"}
"""Runs of two processes, in turn: their sharding. The killed ones lose rank 0 after step 8."""


def data() -> list:  # type: ignore[type-arg]
    """13 rows: the last batch of an epoch has a single row, so that one rank has none."""
    return rows(13)


def run(base: Path, out: Path, sharding: str = "none") -> TrainResult:
    def killed(event: object) -> None:
        if "killed" in out.name and event["step"] == 8 and not (out / "died").exists():  # type: ignore[index]
            (out / "died").touch()
            os.kill(os.getpid(), 9)

    layers = "all" if "narrow" in out.name else "top-2"
    return train(
        base,
        data(),
        SETTINGS.model_copy(update={"sharding": sharding, "layers": layers}),
        out,
        TrainOptions(
            seed=1,
            checkpoint_every=3,
            device="cpu",
            trunk_cache=out / "trunk",
            dev=data()[:3],
            on_event=killed,
        ),
    )


def torchrun(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--max-restarts", "3", *arguments]
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(
                [str(Path(__file__).parents[1] / "helpers"), str(Path(__file__).parent)]
            ),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def ended(child: subprocess.Popen[bytes]) -> bytes:
    try:
        out, errors = child.communicate(timeout=400)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    assert child.returncode == 0, errors.decode()[:9000]
    return out


@pytest.mark.slow
def test_two_gloo_processes_equal_one_and_survive_a_killed_rank(tmp_path: Path) -> None:
    """Data parallel and FSDP2; the killed runs end with the undisturbed ones' weights, bit for bit."""
    torch.set_num_threads(1)
    base = tmp_path / "base"
    tiny("llama").save_pretrained(base)
    one = run(base, tmp_path / "one")
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path\n"
        "from test_distributed import CASES, run\n"
        "import torch\n"
        "torch.set_num_threads(1)\n"
        f"root = Path({str(tmp_path)!r})\n"
        "for name, sharding in CASES.items():\n"
        "    (root / name).mkdir(exist_ok=True)\n"
        '    run(root / "base", root / name, sharding)\n'
        # Weights stored in bf16: made wide while they are split.
        "from residency.train import train_loop as loop\n"
        "seen, load = [], loop.load_model\n"
        "def watched(*args, **options):\n"
        '    seen.append(options["dtype"])\n'
        "    return load(*args, **options)\n"
        "loop.load_model = watched\n"
        'run(root / "base-narrow", root / "sharded-narrow", "full")\n'
        "assert seen == [torch.bfloat16], seen\n"
    )
    tiny("llama").to(torch.bfloat16).save_pretrained(tmp_path / "base-narrow")
    ended(torchrun(str(script)))
    narrow = run(tmp_path / "base-narrow", tmp_path / "one-narrow")
    split = run(tmp_path / "base-narrow", tmp_path / "sharded-narrow", "full")
    assert np.allclose(narrow.losses, split.losses, atol=1e-5)
    assert narrow.losses != one.losses
    found = {name: run(base, tmp_path / name) for name in CASES}
    for name, result in found.items():
        assert np.allclose(one.losses, result.losses, atol=1e-5)
        assert one.trained_tokens == result.trained_tokens and one.tokens == result.tokens
        assert np.allclose(one.evaluations, result.evaluations, atol=1e-5)
        assert (tmp_path / name / "died").exists() == ("killed" in name)
        shards = list((tmp_path / name / "checkpoints").glob("step-*/shards/*.safetensors"))
        assert len(shards) == (2 if "sharded" in name else 0)
    for whole, killed in (("two", "killed"), ("sharded", "sharded-killed")):
        assert found[whole].losses == found[killed].losses
        left, right = (
            load_file(found[name].folder / "adapter_model.safetensors") for name in (whole, killed)
        )
        assert all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.slow
def test_the_same_command_runs_under_torchrun_and_survives_a_killed_rank(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_model(tmp_path / "model")
    losses = {}
    for name, sharding in (("one", "none"), ("killed", "full")):
        root = save_project(tmp_path / name, model, epochs=30)  # 120 steps
        settings = root / "residency.toml"
        text = settings.read_text()
        settings.write_text(text.replace("[train]\n", f'[train]\nsharding = "{sharding}"\n'))
        if name == "one":
            assert run_command_line(["train", str(root), "--json"]) == 0
            out = capsys.readouterr().out
        else:
            child = torchrun("-m", "residency", "train", str(root), "--json")
            kill_rank_1(child, root)
            out = ended(child).decode()
        told = json.loads(out)
        assert (Path(told["adapter"]) / "loss.json").is_file()
        assert told["training"]["steps"] == 120
        losses[name] = told["training"]["final_loss"]
    assert losses["one"] == pytest.approx(losses["killed"], abs=1e-3)  # after 120 steps


def kill_rank_1(child: subprocess.Popen[bytes], root: Path) -> None:
    """As soon as the first checkpoint is there."""
    while not list(root.glob(".residency/work/*/checkpoints/step-*")):
        assert child.poll() is None, child.communicate()[1].decode()[-2000:]
        time.sleep(0.005)
    for process in psutil.Process(child.pid).children(recursive=True):
        if process.environ().get("RANK") == "1":
            process.kill()
            return
    raise AssertionError("there is no rank 1")


def test_a_command_of_one_process_says_so_under_torchrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run_command_line(["status"]) == 2
    assert "residency status runs as one process" in capsys.readouterr().err
