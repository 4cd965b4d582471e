"""Which library multiplies fp32 matrices on this machine: measured once, and kept.

oneDNN is about twice as fast as MKL on recent AMD processors, and up to a third slower on some
Intel ones. A choice that changed from run to run would change the last bits of a resumed training,
so what was measured first is written down for this processor and this PyTorch.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from functools import lru_cache
from pathlib import Path

import torch

from residency.files.atomic_write import write_json
from residency.model.model_cache import cache_dir

SHAPE = (725, 1536, 576)
"""Rows, outputs and inputs of the product that is timed: a batch through a small model's MLP."""
ADVANTAGE = 1.05
"""How many times as fast MKL must be to be chosen: within noise oneDNN stays, as its buffers do."""
TIMES = 5


@lru_cache(maxsize=1)
def onednn_available() -> bool:
    """Whether fp32 products can go to oneDNN: an x86 build of PyTorch that carries it."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


@lru_cache(maxsize=1)
def onednn_preferred() -> bool:
    """Whether fp32 products go to oneDNN here: what was measured first on this machine."""
    if not onednn_available():
        return False
    file, key = cache_dir() / "products.json", _describe_machine()
    choices = _read_choices(file)
    if isinstance(choices.get(key), dict) and isinstance(choices[key].get("onednn"), bool):
        return bool(choices[key]["onednn"])
    onednn, mkl = time_products()
    choice = mkl > onednn / ADVANTAGE
    choices[key] = {"onednn": choice, "onednn_seconds": onednn, "mkl_seconds": mkl}
    with contextlib.suppress(OSError):  # a cache that cannot be written is measured again
        write_json(file, choices)
    return choice


@torch.no_grad()
def time_products() -> tuple[float, float]:
    """Seconds of one product by oneDNN and by PyTorch's own choice (MKL): the best of a few, in turn."""
    rows, outputs, inputs = SHAPE
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, inputs, generator=generator)
    weight = torch.randn(outputs, inputs, generator=generator)
    best = [float("inf"), float("inf")]
    for turn in range(TIMES + 1):
        for number in (0, 1):
            began = time.perf_counter()
            if number == 0:
                torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
            else:
                torch.nn.functional.linear(x, weight)
            if turn:  # the first makes code and buffers
                best[number] = min(best[number], time.perf_counter() - began)
    return best[0], best[1]


def _describe_machine() -> str:
    """Processor and PyTorch: what the measurement depends on."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, torch {torch.__version__}"


def _read_choices(file: Path) -> dict[str, dict[str, object]]:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}
