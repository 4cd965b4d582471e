"""Two processes give the losses of one, and a killed rank changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from residency.config import TrainConfig
from residency.train import train
from tiny_archs import rows, tiny

SETTINGS = TrainConfig(
    rank=4, alpha=8, layers="top-2", epochs=6, batch_size=4, learning_rate=1e-2, eval_every=5
)
SCRIPT = """
import os, sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_train_distributed import SETTINGS, data
from residency.train import train
torch.set_num_threads(1)
out = Path({out!r})

def killed(event):
    if event["step"] == {die} and not (out / "died").exists():
        (out / "died").touch()
        os.kill(os.getpid(), 9)

train(Path({base!r}), data(), SETTINGS, out, seed=1, checkpoint_every=3, device="cpu",
      trunk_cache=out / "trunk", dev=data()[:3], on_event=killed)
"""


def data() -> list:  # type: ignore[type-arg]
    """13 rows: the last batch of an epoch has a single row, so that one rank has none."""
    return rows(13)


def launch(base: Path, out: Path, die: int) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parent), base=str(base), out=str(out), die=die)
    (out / "run.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--max-restarts", "2", str(out / "run.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        _, errors = child.communicate(timeout=150)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    assert child.returncode == 0, errors.decode()[-2000:]


@pytest.mark.slow
def test_two_gloo_processes_equal_one_and_survive_a_killed_rank(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    base = tmp_path / "base"
    tiny("llama").save_pretrained(base)
    one = train(
        base,
        data(),
        SETTINGS,
        tmp_path / "one",
        seed=1,
        dev=data()[:3],
        device="cpu",
        trunk_cache=tmp_path / "one" / "trunk",
    )
    for name, die in (("two", -1), ("killed", 8)):
        (tmp_path / name).mkdir()
        launch(base, tmp_path / name, die)
    two, killed = (
        train(base, data(), SETTINGS, tmp_path / n, seed=1, dev=data()[:3], device="cpu")
        for n in ("two", "killed")
    )
    assert (tmp_path / "killed" / "died").exists()
    assert np.allclose(one.losses, two.losses, atol=1e-5)
    assert one.trained_tokens == two.trained_tokens and one.tokens == two.tokens
    assert two.losses == killed.losses
    left, right = (load_file(r.folder / "adapter_model.safetensors") for r in (two, killed))
    assert all(torch.equal(left[k], right[k]) for k in left)
