"""What guessed words save a server: steps and seconds of answers asked one at a time.

    python benchmarks/live_guesses.py [--base smollm2-135m] [--threads 2] [--tokens 48]

Each question is answered twice by the server's batch, greedily: a token a step, and with guesses from the
prompt and from the answer itself (``draft_tokens.LookupDraft``). Answers must be the same. Then one step is
timed with 1 to 16 rows, as guesses make them: the minimum of twelve.
"""

from __future__ import annotations

import argparse
import time

import torch

from residency.chat.chat_format import ChatFormat
from residency.infer.attention import KVCache
from residency.infer.chunk_attention import ChunkAttention
from residency.infer.draft_tokens import Draft
from residency.infer.fused_model import FusedModel
from residency.infer.live_engine import BASE, LiveEngine
from residency.infer.local_engine import LocalEngine
from residency.model.base_model import resolve_base
from residency.model.load_model import load_tokenizer
from residency.nouns.example import Message
from residency.nouns.response import Sampling

LETTER = (
    "Hello, my name is Anna Berger, order A-12993. My kettle leaks since Monday. "
    "Please send a new kettle or refund 39.90 euros."
)
QUESTIONS = {
    "extract": f"Extract name, order and product as lines: {LETTER}",
    "correct": f"Write this again without mistakes: {LETTER}",
    "reply": f"Write a short reply to this customer: {LETTER}",
    "question": "What is photosynthesis?",
}


def answer(live: LiveEngine, question: str, tokens: int, *, guess: bool) -> tuple[list[int], int]:
    """Tokens of the answer, and the steps that they took after the prompt's."""
    messages = (Message("user", question),)
    sampling = Sampling(max_new_tokens=tokens)
    run = live.start_chat(messages, live.encode_chat(messages), sampling, sample=0, model=BASE)
    if not guess:
        run.draft = Draft()
    live.batch.add([run])
    steps = -1
    while live.batch.active_count or live.batch.waiting_count:
        live.batch.step()
        steps += bool(run.tokens)
    return run.tokens, max(steps, 0)


def time_rows(model: FusedModel, rows: int) -> float:
    """Seconds of one step with so many rows after 150 tokens."""
    cache = KVCache(
        layers=len(model.layers),
        slots=1,
        heads=model.kv_heads,
        length=256,
        size=model.head_size,
        like=model.embedding,
    )
    taken = []
    for _ in range(12):
        began = time.perf_counter()
        attend = ChunkAttention(cache, [(0, 150, rows)], model.scale)
        model.compute_logits(model.forward(torch.arange(rows), attend.places, attend, None))
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48)
    options = parser.parse_args()
    folder = resolve_base(options.base).path
    engine = LocalEngine(folder, ChatFormat(load_tokenizer(folder)), threads=options.threads)
    live = LiveEngine(engine, slots=4, cache_bytes=1 << 28, prompt_bytes=0)
    answer(live, "Hello", 4, guess=False)  # what is prepared once
    print(
        "| question | tokens | steps | with guesses | seconds | with guesses |\n|---|---|---|---|---|---|"
    )
    for name, question in QUESTIONS.items():
        took = []
        answers = []
        for guess in (False, True):
            began = time.perf_counter()
            answers.append(answer(live, question, options.tokens, guess=guess))
            took.append(time.perf_counter() - began)
        (plain, steps), (guessed, fewer) = answers
        assert plain == guessed, name
        print(f"| {name} | {len(plain)} | {steps} | {fewer} | {took[0]:.2f} | {took[1]:.2f} |")
    if engine.fused is not None:
        with torch.inference_mode():
            taken = {rows: time_rows(engine.fused, rows) for rows in (1, 2, 4, 8, 16)}
        print("step, ms: " + ", ".join(f"{n} rows {1000 * s:.1f}" for n, s in taken.items()))


if __name__ == "__main__":
    main()
