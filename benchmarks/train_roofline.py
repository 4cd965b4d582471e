"""Where a training step's time goes on one thread, and how near its products come to the processor's peak.

    python benchmarks/train_roofline.py [--models 14m-8k,14m-32k] [--methods lora,full]

The peak is that of a product of 2048 × 2048 numbers, measured in the same process before and after. *If all else
were free* is the step's time over that of its products: no engine with the same fp32 products can be
faster by more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from residency.config.train import TrainConfig
from train_cpu import Ours, make_model, make_rows

PRODUCTS = ("mkldnn::_linear_pointwise", "aten::mm", "aten::addmm", "aten::bmm")
ATTENTION = "aten::_scaled_dot_product"


def measure_peak() -> float:
    """FLOPs a second of a large fp32 product, the best of five."""
    x, weight = torch.randn(2, 2048, 2048)
    seconds = []
    for _ in range(5):
        began = time.process_time()
        torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        seconds.append(time.process_time() - began)
    return 2 * 2048**3 / min(seconds)


def count_flops(name: str, shapes: list[list[int]]) -> int:
    """FLOPs of one product; ``linear`` takes its weight as [out, in]."""
    x, weight = shapes[-2:] if name == "aten::addmm" else shapes[:2]
    rows = 1
    for size in x[:-1]:
        rows *= size
    return 2 * rows * weight[-1] * weight[-2] if "linear" in name else 2 * rows * x[-1] * weight[-1]


def measure_step(model: str, method: str) -> dict[str, object]:
    """Shares of a step's processor time, over eight steps of eight rows."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        base = make_model(model, Path(folder))
        rows = make_rows(64, int(model.split("-")[1].removesuffix("k")) * 1000, 120, 512, 0)
        settings = TrainConfig(method=method, layers="all")
        ours = Ours(base, settings, Path(folder) / "trunk", rows)
        batches = [rows[at : at + 8] for at in range(0, 64, 8)]
        ours.run(batches)
        before = measure_peak()
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
            ours.run(batches)
        peak = max(before, measure_peak())
    products = flops = attention = whole = 0.0
    for event in profiled.key_averages(group_by_input_shape=True):
        seconds = event.self_cpu_time_total / 1e6
        whole += seconds
        if event.key in PRODUCTS and event.input_shapes[1]:
            products += seconds
            flops += event.count * count_flops(event.key, event.input_shapes)
        elif event.key.startswith(ATTENTION):
            attention += seconds
    return {
        "model": model,
        "method": method,
        "tokens": sum(len(row.ids) for row in rows),
        "seconds": round(whole, 2),
        "products, share": round(products / whole, 3),
        "attention, share": round(attention / whole, 3),
        "products, GFLOP/s": round(flops / products / 1e9, 1),
        "peak, GFLOP/s": round(peak / 1e9, 1),
        "times as fast if all else were free": round(whole / products, 2),
    }


def main() -> None:
    """Read the command line and print one JSON object a model and method."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--models", default="14m-8k,14m-32k")
    parser.add_argument("--methods", default="lora,full")
    options = parser.parse_args()
    for model in options.models.split(","):
        for method in options.methods.split(","):
            print(json.dumps(measure_step(model, method)), flush=True)


if __name__ == "__main__":
    main()
