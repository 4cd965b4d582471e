"""Time from an empty process to a base model's first token, imports included.

    python benchmarks/first_token.py                  # tiny, read by the engine
    python benchmarks/first_token.py --transformers   # tiny, by transformers alone
    python benchmarks/first_token.py --base smollm2-135m

Every measurement is a fresh process on one thread, after one that warms the disk cache. Wall is
from the moment the process is started to its first token, CPU what it used until then.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

OURS = """
from residency.chat.chat_format import ChatFormat
from residency.infer.local_engine import LocalEngine
from residency.model.base_model import resolve_base
from residency.nouns.example import Message
from residency.nouns.response import Sampling

base = resolve_base({name!r}, fetch=False)
engine = LocalEngine(base.path, ChatFormat(base.tokenizer()), known=base.known, device="cpu")
next(engine.stream([Message("user", "Hello")], Sampling(max_new_tokens=8)))
"""
THEIRS = """
from transformers import AutoModelForCausalLM, AutoTokenizer
from residency.model.base_model import resolve_base

folder = resolve_base({name!r}, fetch=False).path
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
model.generate(**tokenizer("Hello", return_tensors="pt"), max_new_tokens=1, do_sample=False)
"""


def measure(code: str) -> tuple[float, float]:
    """Wall and CPU seconds until ``code`` is done, in a process of its own."""
    code += "\nimport time\nprint(time.time(), time.process_time())"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    began = time.time()
    out = subprocess.check_output(command, env=environment, stderr=subprocess.DEVNULL)
    ended, used = map(float, out.split()[-2:])
    return ended - began, used


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    code = (THEIRS if args.transformers else OURS).format(name=args.base)
    measure(code)
    walls, used = zip(*(measure(code) for _ in range(args.times)), strict=True)
    print(
        f"{args.base}: first token after {statistics.median(walls):.2f} s wall "
        f"({min(walls):.2f} to {max(walls):.2f}), {statistics.median(used):.2f} s CPU"
    )


if __name__ == "__main__":
    main()
