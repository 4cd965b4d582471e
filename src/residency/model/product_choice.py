"""Which library multiplies fp32 matrices on this machine: measured once, and remembered.

oneDNN is about twice as fast as MKL on recent AMD processors, and up to a third slower on some
Intel ones. A choice that changed from run to run would change the last bits of a resumed training,
so what was measured first is written down for this processor and this PyTorch.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast, get_args

import torch

from residency.files.atomic_write import write_json
from residency.model.model_cache import cache_dir

SHAPE = (725, 1536, 576)
"""Rows, outputs and inputs of the product that is timed: a batch through a small model's MLP."""
ADVANTAGE = 1.05
"""How many times as fast MKL must be to be chosen: within noise oneDNN stays, as its buffers do."""
TIMES = 5
SINGLE_WEIGHTS = 32
"""Weights of 3.5 MB through which a single row goes in each way."""
FEW_ROWS = (2, 3, 4, 6, 8)
"""Numbers of rows for which the parts are tried, until they are no faster."""
SingleRowWay = Literal["packed", "plain", "split"]
"""A single row by oneDNN's packed weight, by the plain one, or by its parts, a thread each."""


@lru_cache(maxsize=1)
def onednn_available() -> bool:
    """Whether fp32 products can go to oneDNN: an x86 build of PyTorch that carries it."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


@lru_cache(maxsize=1)
def bf16_available() -> bool:
    """Whether this processor has instructions for bf16 products, and oneDNN is there to use them."""
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return onednn_available() and bool(has_instructions())


@lru_cache(maxsize=1)
def onednn_preferred() -> bool:
    """Whether fp32 products go to oneDNN here: what was measured first on this machine."""
    if not onednn_available():
        return False
    return _choose_once("onednn", "mkl", time_products)


@lru_cache(maxsize=8)
def single_row_way(threads: int) -> SingleRowWay:
    """How a single row is multiplied fastest here with so many threads (PyTorch's number of now)."""
    if not onednn_preferred():
        return "plain"
    name = f"single_row_{threads}"
    row = _read_row()
    if row.get(name) not in get_args(SingleRowWay):
        seconds = time_single_rows(threads)
        best = min(seconds, key=lambda way: seconds[way])
        best = best if seconds["packed"] > ADVANTAGE * seconds[best] else "packed"
        row |= {name: best, f"{name}_seconds": seconds}
        _write_row(row)
    return cast(SingleRowWay, row[name])


@lru_cache(maxsize=8)
def most_split_rows(threads: int) -> int:
    """Up to how many rows a weight's parts are faster than the packed weight; 0 where one row is not."""
    if single_row_way(threads) != "split":
        return 0
    name, row = f"split_rows_{threads}", _read_row()
    known = row.get(name)
    if not isinstance(known, int):
        known = 1
        for rows in FEW_ROWS:
            seconds = time_few_rows(threads, rows)
            if seconds["packed"] <= ADVANTAGE * seconds["split"]:
                break
            known = rows
        _write_row(_read_row() | {name: known})
    return known


def _choose_once(way: str, other: str, measure: Callable[[], tuple[float, float]]) -> bool:
    """Whether ``way`` is taken and not ``other``: what was measured first here, and written down."""
    row = _read_row()
    if isinstance(row.get(way), bool):
        return bool(row[way])
    seconds, other_seconds = measure()
    choice = other_seconds > seconds / ADVANTAGE
    _write_row(row | {way: choice, f"{way}_seconds": seconds, f"{other}_seconds": other_seconds})
    return choice


@torch.no_grad()
def time_products() -> tuple[float, float]:
    """Seconds of one product by oneDNN and by PyTorch's choice (MKL): the best of a few, in turn."""
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


def time_single_rows(threads: int) -> dict[SingleRowWay, float]:
    """Seconds of one row through many weights, in each way: more of them than caches hold."""
    return time_few_rows(threads, 1)


@torch.no_grad()
def time_few_rows(threads: int, rows: int) -> dict[SingleRowWay, float]:
    """As ``time_single_rows``, for so many rows at once."""
    _, outputs, inputs = SHAPE
    x = torch.ones(rows, inputs)
    plain = [torch.full((outputs, inputs), float(number)) for number in range(SINGLE_WEIGHTS)]
    packed = [torch.ops.mkldnn._reorder_linear_weight(weight, 256) for weight in plain]
    parts = [split_weight(weight, threads) for weight in plain]
    ways: dict[SingleRowWay, Callable[[int], object]] = {
        "packed": lambda at: torch.ops.mkldnn._linear_pointwise(
            x, packed[at], None, "none", [], ""
        ),
        "plain": lambda at: torch.nn.functional.linear(x, plain[at]),
    }
    if parts[0] is not None:
        ways["split"] = lambda at: multiply_split(x, cast(torch.Tensor, parts[at]))
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(TIMES + 1):
        for way, multiply in ways.items():
            began = time.perf_counter()
            for at in range(SINGLE_WEIGHTS):
                multiply(at)
            if turn:
                best[way] = min(best[way], time.perf_counter() - began)
    return best


def split_weight(weight: torch.Tensor, parts: int) -> torch.Tensor | None:
    """A view [parts, outputs / parts, inputs]; None where it cannot be split evenly, or into one."""
    if parts < 2 or weight.shape[0] % parts:
        return None
    return weight.view(parts, weight.shape[0] // parts, weight.shape[1])


def multiply_split(x: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    """[T, inputs] × [parts, outputs / parts, inputs] → [T, outputs], the parts side by side.

    MKL multiplies few rows in one thread, and a batch of matrices in a thread each.
    """
    out = torch.bmm(parts, x.t().expand(parts.shape[0], -1, -1))  # [parts, outputs / parts, T]
    return out.view(1, -1) if x.shape[0] == 1 else out.flatten(0, 1).t().contiguous()


def _read_row() -> dict[str, object]:
    """What was measured on this machine."""
    known = _read_choices(cache_dir() / "products.json").get(_describe_machine())
    return dict(known) if isinstance(known, dict) else {}


def _write_row(row: dict[str, object]) -> None:
    file = cache_dir() / "products.json"
    with contextlib.suppress(OSError):  # a cache that cannot be written is measured again
        write_json(file, _read_choices(file) | {_describe_machine(): row})


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
