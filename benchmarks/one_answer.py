"""Where the time of one answer goes, without HTTP: a step of this engine in parts, beside llama.cpp's.

    python benchmarks/one_answer.py [--base smollm2-135m] [--threads 2] [--tokens 32] [--turns 3]

One answer at a time, greedy, fp32, without guesses, to questions of about a hundred tokens that begin alike
nowhere. Each engine is a process of its own, as a server is, and they take turns. A step is one token's forward and
its choice. *Sleeping*: threads sleep while they wait for one another, as beside other work
(``model/thread_spinning.py``). llama.cpp's step is what it says itself. GB/s is the size of the weights, all of which a
step reads, over its time. The minimum is what the machine can do, the median what it did beside other work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from residency.model.thread_waiting import limit_spinning
from residency.nouns.example import Message
from serve import make_question

ENGINES = ("ours", "ours, sleeping", "llama.cpp")


def measure_ours(
    base: str, threads: int, tokens: int, turn: int, *, sleeping: bool
) -> tuple[list[float], dict[str, float]]:
    """Seconds of each step of three answers, and of the parts of a step in a fourth."""
    limit_spinning()  # before PyTorch is imported
    from residency.chat.chat_format import ChatFormat
    from residency.infer.live_engine import LiveEngine
    from residency.infer.local_engine import LocalEngine
    from residency.model import thread_spinning
    from residency.model.base_model import resolve_base
    from residency.model.load_model import load_tokenizer

    folder = resolve_base(base).path
    engine = LocalEngine(folder, ChatFormat(load_tokenizer(folder)), threads=threads)
    live = LiveEngine(engine, slots=4, cache_bytes=1 << 28, prompt_bytes=0)
    if sleeping:
        team = threading.Thread(
            target=thread_spinning._keep_team, args=(threading.Event(),), daemon=True
        )
        team.start()
    rng = random.Random(turn)
    time_steps(live, make_question(rng), 20)  # weights are unpacked by now
    steps: list[float] = []
    for _ in range(3):
        steps += time_steps(live, make_question(rng), tokens)
    parts: dict[str, float] = {}
    question = make_question(rng)
    with time_parts(parts):
        parted = time_steps(live, question, tokens, parts)
    return steps, {part: seconds / len(parted) for part, seconds in parts.items()}


def time_steps(
    live: Any, question: str, tokens: int, parts: dict[str, float] | None = None
) -> list[float]:
    """Seconds of each step after the prompt's, of one answer; ``parts`` forget the prompt's."""
    from residency.infer.draft_tokens import Draft
    from residency.nouns.response import Sampling

    messages = (Message("user", question),)
    sampling = Sampling(max_new_tokens=tokens)
    run = live.start_chat(messages, live.encode_chat(messages), sampling, sample=0, model="")
    run.draft = Draft()
    live.batch.add([run])
    steps = []
    while live.batch.active_count or live.batch.waiting_count:
        if not run.tokens and parts is not None:
            parts.clear()
        began, written = time.perf_counter(), len(run.tokens)
        live.batch.step()
        if written:
            steps.append(time.perf_counter() - began)
        elif parts is not None:
            parts.clear()
    return steps


@contextmanager
def time_parts(parts: dict[str, float]) -> Iterator[None]:
    """Add up the seconds in products, attention and choice of tokens while the block runs."""
    from residency.infer import live_fused
    from residency.infer.chunk_attention import ChunkAttention
    from residency.infer.matrix_products import PackedLinear
    from residency.infer.sequences import Ending

    def wrap(owner: Any, name: str, part: str) -> tuple[Any, str, Any]:
        real = getattr(owner, name)

        def timed(*arguments: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return real(*arguments, **more)
            finally:
                parts[part] = parts.get(part, 0.0) + time.perf_counter() - began

        setattr(owner, name, timed)
        return owner, name, real

    wrapped = [
        wrap(PackedLinear, "__call__", "products"),
        wrap(ChunkAttention, "__call__", "attention"),
        wrap(ChunkAttention, "__init__", "attention"),
        wrap(live_fused, "pick_tokens", "choice of the token"),
        wrap(Ending, "accept_picks", "end and text"),
    ]
    try:
        yield
    finally:
        for owner, name, real in wrapped:
            setattr(owner, name, real)


def measure_llamacpp(
    file: Path, threads: int, tokens: int, turn: int
) -> tuple[list[float], dict[str, float]]:
    """llama.cpp's own seconds a token of three answers, for each of their tokens."""
    from residency.export.llamacpp_consumer import open_llamacpp

    rng = random.Random(turn)
    steps: list[float] = []
    with open_llamacpp(file, threads=threads) as llama:
        for answer in range(4):
            body = {
                "prompt": llama.prompt_ids((Message("user", make_question(rng)),)),
                "n_predict": tokens, "ignore_eos": True, "top_k": 1, "cache_prompt": False,
            }  # fmt: skip
            seconds = llama._post("/completion", body)["timings"]["predicted_per_token_ms"] / 1000
            steps += [seconds] * (tokens if answer else 0)
    return steps, {}


def write_base(base: str, file: Path) -> float:
    """The base as a GGUF file in fp32; its size in GB."""
    from residency.chat.chat_format import ChatFormat
    from residency.export.gguf_file import write_gguf
    from residency.model.base_model import resolve_base
    from residency.model.load_model import load_tokenizer

    folder = resolve_base(base).path
    write_gguf(folder, file, "f32", chat=ChatFormat(load_tokenizer(folder)), name="base")
    return file.stat().st_size / 1e9


def run_apart(call: Any, *arguments: Any, **more: Any) -> Any:
    """What a function gives in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *arguments, **more).result()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    steps: dict[str, list[float]] = {name: [] for name in ENGINES}
    parts: dict[str, dict[str, list[float]]] = {name: {} for name in ENGINES}
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "base-f32.gguf"
        size = run_apart(write_base, options.base, file)
        for turn in range(options.turns):
            for name in ENGINES:
                rest = options.threads, options.tokens, turn
                if name == "llama.cpp":
                    times, shares = run_apart(measure_llamacpp, file, *rest)
                else:
                    times, shares = run_apart(
                        measure_ours, options.base, *rest, sleeping="sleeping" in name
                    )
                steps[name] += times
                for part, seconds in shares.items():
                    parts[name].setdefault(part, []).append(seconds)
    print(f"weights: {size:.3f} GB; {options.threads} threads")
    print("| engine | step at best | GB/s | median | parts of a step, median of the turns |")
    print("|---|---|---|---|---|")
    for name in ENGINES:
        low, middle = min(steps[name]), statistics.median(steps[name])
        shares = ", ".join(
            f"{part} {1000 * statistics.median(seconds):.1f}"
            for part, seconds in parts[name].items()
        )
        print(
            f"| {name} | {1000 * low:.1f} ms | {size / low:.0f} | {1000 * middle:.1f} ms | {shares} |"
        )


if __name__ == "__main__":
    main()
