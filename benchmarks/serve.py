"""Servers beside one another: tokens a second, and time to the first token, at 1, 4 and 16 clients.

    python benchmarks/serve.py                                  # residency, llama.cpp, transformers
    python benchmarks/serve.py --servers residency,llamacpp --clients 1,4 --requests 2

Each server is a process of its own, all on fp32 weights of one base, asked in one run and in turn
(``--rounds``). CPU is what the server used for a token, all its threads together: it hardly depends
on what else runs on the machine. Every client asks ``--requests`` questions one after the other, greedily, streamed,
``--tokens`` each; no two questions begin alike, so that none is read from a cache.
``soak.py`` beside this file asks one server for an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

SERVERS = ("residency", "llamacpp", "transformers")
WORDS = [
    "kettle",
    "order",
    "broke",
    "monday",
    "refund",
    "please",
    "radio",
    "lamp",
    "hums",
    "new",
    "invoice",
    "parcel",
    "late",
    "address",
    "colour",
    "wrong",
    "shop",
    "customer",
    "asks",
    "reply",
    "number",
    "card",
    "street",
    "window",
    "winter",
    "garden",
    "train",
]
LLAMACPP = """
import sys, time, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port, p.n_parallel, p.n_ctx = sys.argv[1], int(sys.argv[2]), 16, 16 * 1024
p.cache_type_k = p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
p.cpuparams.n_threads, p.verbosity = int(sys.argv[3]), -1
server = xllamacpp.Server(p)
while True:
    time.sleep(60)
"""


def make_question(rng: random.Random) -> str:
    """About a hundred tokens that begin like no other question."""
    return f"{rng.randrange(10**9)} " + " ".join(rng.choice(WORDS) for _ in range(70))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_command(
    name: str, base: str, work: Path, port: int, threads: int
) -> tuple[list[str], str]:
    """How a server is started, and by which name its model is asked."""
    from residency.model.base_model import resolve_base

    folder = resolve_base(base).path
    if name == "residency":
        project = work / "project"
        if not project.exists():
            project.mkdir()
            (project / "residency.toml").write_text(
                f'[project]\nname = "served"\n[model]\nbase = "{base}"\nthreads = {threads}\n'
                '[data]\ntrain = ["rows.jsonl"]\n[serve]\nlog_requests = false\n'
            )
            (project / "rows.jsonl").write_text('{"instruction": "a", "response": "b"}\n')
        command = [sys.executable, "-m", "residency", "serve", str(project), "--port", str(port)]
        return command, "base"
    if name == "llamacpp":
        from residency.chat.chat_format import ChatFormat
        from residency.export.gguf_file import write_gguf
        from residency.model.load_model import load_tokenizer

        file = work / "base-f32.gguf"
        if not file.exists():
            write_gguf(folder, file, "f32", chat=ChatFormat(load_tokenizer(folder)), name="base")
        return [sys.executable, "-c", LLAMACPP, str(file), str(port), str(threads)], "base"
    return [
        "transformers", "serve", str(folder), "--port", str(port), "--dtype", "float32",
        "--device", "cpu", "--continuous-batching",
    ], str(folder)  # fmt: skip


@contextmanager
def start_server(
    name: str, base: str, work: Path, threads: int
) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """A server that answers; its address, its model's name and its process."""
    port = free_port()
    command, model = make_command(name, base, work, port, threads)
    settings = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    (work / "hub").mkdir(exist_ok=True)  # transformers lists no models where this folder is missing
    settings["HF_HUB_CACHE"] = str(work / "hub")
    with (work / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=settings, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        end = time.monotonic() + 240
        while time.monotonic() < end and process.poll() is None:
            try:
                if httpx.get(f"{url}/models", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                pass  # it does not listen yet
            time.sleep(0.3)
        else:
            raise SystemExit(f"{name} did not start: {(work / f'{name}.log').read_text()[-500:]}")
        yield url, model, process
    except httpx.HTTPError as error:
        state = "it still runs" if process.poll() is None else f"it ended with {process.poll()}"
        said = (work / f"{name}.log").read_text(errors="replace")[-500:]
        raise SystemExit(f"{name} ended a connection ({error!r}); {state}: {said}") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def ask(
    client: httpx.AsyncClient, url: str, model: str, question: str, tokens: int
) -> tuple[float, float, int]:
    """Seconds to the first token and to the last, and how many tokens came."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},  # pieces of text are not tokens
    }
    began = time.perf_counter()
    first, pieces, counted = 0.0, 0, 0
    async with client.stream("POST", f"{url}/chat/completions", json=body) as reply:
        if reply.status_code != 200:
            raise SystemExit(f"{url}: {reply.status_code} {(await reply.aread())[:300]!r}")
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            if usage := event.get("usage"):
                counted = usage.get("completion_tokens") or counted
            for choice in event.get("choices", []):
                if choice["delta"].get("content"):
                    first = first or time.perf_counter() - began
                    pieces += 1
    return first, time.perf_counter() - began, counted or pieces


async def ask_again(
    client: httpx.AsyncClient, url: str, model: str, question: str, tokens: int
) -> tuple[float, float, int]:
    """``ask``, up to three times: llama.cpp's server now and then closes a connection unanswered. What
    was lost by it counts in the tokens a second, not in the time to a first token."""
    for _ in range(2):
        try:
            return await ask(client, url, model, question, tokens)
        except httpx.RemoteProtocolError:
            print(f"  {url}: a connection was closed unanswered; asked again", file=sys.stderr)
    return await ask(client, url, model, question, tokens)


async def ask_all(
    url: str, model: str, clients: int, requests: int, tokens: int, rng: random.Random
) -> tuple[float, list[float], int]:
    """Tokens a second of all clients together, every time to a first token, and the tokens."""
    questions = [[make_question(rng) for _ in range(requests)] for _ in range(clients)]
    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=64)) as client:

        async def ask_in_turn(own: list[str]) -> list[tuple[float, float, int]]:
            return [await ask_again(client, url, model, question, tokens) for question in own]

        began = time.perf_counter()
        replies = await asyncio.gather(*map(ask_in_turn, questions))
        seconds = time.perf_counter() - began
    rows = list(itertools.chain(*replies))
    written = sum(row[2] for row in rows)
    return written / seconds, [row[0] for row in rows if row[0]], written


def read_cpu(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in family)


def compare(options: argparse.Namespace, work: Path) -> None:
    """One table row a server and number of clients."""
    counts = [int(n) for n in options.clients.split(",")]
    speeds: dict[tuple[str, int], list[float]] = {}
    firsts: dict[tuple[str, int], list[float]] = {}
    costs: dict[tuple[str, int], list[float]] = {}
    for turn in range(options.rounds):
        for name in options.servers.split(","):
            with start_server(name, options.base, work, options.threads) as (url, model, process):
                rng = random.Random(turn)
                asyncio.run(ask_all(url, model, 2, 1, options.tokens, rng))  # what is done once
                for count in counts:
                    used = read_cpu(process.pid)
                    speed, first, written = asyncio.run(
                        ask_all(url, model, count, options.requests, options.tokens, rng)
                    )
                    cost = (read_cpu(process.pid) - used) / max(written, 1)
                    costs.setdefault((name, count), []).append(cost)
                    speeds.setdefault((name, count), []).append(speed)
                    firsts.setdefault((name, count), []).extend(first)
                    print(
                        f"  {name} {count}: {speed:.1f} tokens/s, {1000 * cost:.1f} ms CPU",
                        file=sys.stderr,
                        flush=True,
                    )
    print("| server | clients | tokens/s | CPU a token | first token p50 | p95 |")
    print("|---|---|---|---|---|---|")
    for (name, count), values in speeds.items():
        waits = sorted(firsts[name, count])
        late = waits[min(len(waits) - 1, int(0.95 * len(waits)))]
        print(
            f"| {name} | {count} | {statistics.median(values):.1f} | "
            f"{1000 * statistics.median(costs[name, count]):.1f} ms | "
            f"{1000 * statistics.median(waits):.0f} ms | {1000 * late:.0f} ms |"
        )


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--base", default="smollm2-135m")
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--clients", default="1,4,16")
    parser.add_argument("--requests", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        compare(options, Path(work))


if __name__ == "__main__":
    main()
