"""A soak of `residency serve`: an hour of requests of every kind, a kill in the middle, memory, what is lost.

    python benchmarks/soak.py                          # tiny, 3 requests a second for an hour
    python benchmarks/soak.py --minutes 2 --rate 10

Requests come at a steady rate, whatever the server does: chats (streamed and whole), completions with
two answers, JSON by a schema, embeddings, and clients that go away. Halfway the server is ended
by SIGKILL and the same command starts it again on the same port; meanwhile requests go on to come.
A client whose connection fails or ends asks again, for two minutes at most; a request that got no whole
answer by then is lost. At the end SIGTERM, and what the request log holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve import free_port, make_question

ASK_AGAIN = 120.0
"""Seconds in which a client tries again after a failed connection."""
SCHEMA = {
    "type": "object",
    "properties": {"product": {"type": "string", "maxLength": 12}, "urgent": {"type": "boolean"}},
    "required": ["product", "urgent"],
}


class SoakedServer:
    """The server's process, started and started again on one port, and its memory.

    Args:
        project: the served project. port: of 127.0.0.1. log: where its words go.
    """

    def __init__(self, project: Path, port: int, log: Path) -> None:
        self.command = [
            sys.executable, "-m", "residency", "serve", str(project), "--port", str(port),
        ]  # fmt: skip
        self.url = f"http://127.0.0.1:{port}/v1"
        self.log = log
        self.memory: list[list[float]] = []
        self.start()

    def start(self) -> None:
        """Start it; whether it listens is for its clients to find out."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.memory.append([])

    async def wait_until_up(self) -> None:
        """Wait until it answers."""
        async with httpx.AsyncClient() as client:
            while self.process.poll() is None:
                try:
                    if (await client.get(f"{self.url}/models")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.3)
        raise SystemExit(f"the server did not start: {self.log.read_text()[-500:]}")

    def note_memory(self) -> None:
        """One more figure of its resident memory, in MB."""
        self.memory[-1].append(psutil.Process(self.process.pid).memory_info().rss / 1e6)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def make_request(number: int, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """The kind, path and body of a request: each of six kinds in turn."""
    question = make_question(rng)
    chat: dict[str, Any] = {
        "model": "base",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 1 + number % 16,
        "temperature": 0,
    }
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("streamed chat", "chat/completions", chat | {"stream": True}),
        ("whole chat", "chat/completions", chat | {"temperature": 0.8, "seed": number}),
        ("two completions", "completions", {
            "model": "base", "prompt": question, "n": 2, "max_tokens": 8, "stop": ["\n"],
        }),
        ("JSON by a schema", "chat/completions", chat | {"max_tokens": 24, "response_format": {
            "type": "json_schema", "json_schema": {"name": "ticket", "schema": SCHEMA},
        }}),
        ("embedding", "embeddings", {"model": "embedder", "input": [question, "a kettle"]}),
        ("client that leaves", "chat/completions", chat | {"max_tokens": 200, "stream": True}),
    ]  # fmt: skip
    return kinds[number % len(kinds)]


async def send_request(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> str:
    """ "" where the whole answer came, else what is wrong with it."""
    reply = await client.post(url, json=body)
    if reply.status_code != 200:
        return f"status {reply.status_code}"
    if body.get("stream") and not reply.text.rstrip().endswith("data: [DONE]"):
        return "a stream without its end"
    return "" if body.get("stream") or reply.json() else "an empty body"


async def ask_until_answered(
    client: httpx.AsyncClient, server: SoakedServer, number: int, rng: random.Random,
    tallies: Counter[str],
) -> None:  # fmt: skip
    """One client's request, asked again while the server is away; its end goes into the tallies."""
    kind, path, body = make_request(number, rng)
    url, end = f"{server.url}/{path}", time.monotonic() + ASK_AGAIN
    tallies[kind] += 1
    if kind == "client that leaves":
        patience = rng.uniform(0.02, 0.5)
        leaving = asyncio.wait_for(send_request(client, url, body), patience)
        await asyncio.gather(leaving, return_exceptions=True)
        return
    while True:
        try:
            problem = await send_request(client, url, body)
            break
        except httpx.TransportError as error:
            problem = repr(error)
            if time.monotonic() > end:
                break
            tallies["asked again"] += 1
            await asyncio.sleep(1.0)
    if problem:
        tallies["lost"] += 1
        print(f"lost {number}, {kind}: {problem}", flush=True)
    else:
        tallies["answered"] += 1


async def soak_server(server: SoakedServer, count: int, rate: float) -> Counter[str]:
    """All requests, each at its time, and the kill between the halves."""
    rng, tallies, asked = random.Random(0), Counter[str](), set[asyncio.Task[None]]()
    await server.wait_until_up()
    limits = httpx.Limits(max_connections=256, keepalive_expiry=5)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            if number == count // 2:
                print(
                    f"ended with {server.end(signal.SIGKILL)} within request {number}", flush=True
                )
                server.start()
            server.note_memory()
            task = asyncio.create_task(ask_until_answered(client, server, number, rng, tallies))
            asked.add(task)
            task.add_done_callback(asked.discard)
        await asyncio.gather(*asked)
    return tallies


def print_result(
    server: SoakedServer, tallies: Counter[str], seconds: float, project: Path
) -> None:
    """What was asked, answered and lost, memory after each tenth of a half, and the request log."""
    print(f"{seconds:.0f} s; " + ", ".join(f"{name}: {n}" for name, n in tallies.items()))
    print(f"lost: {tallies['lost']}")
    for half, memory in zip(("before the kill", "after it"), server.memory, strict=True):
        steps = [memory[len(memory) * at // 10] for at in range(1, 10)] + [memory[-1]]
        print(f"MB {half}, after each tenth: {', '.join(f'{step:.0f}' for step in steps)}")
    used = json.loads(
        subprocess.run(
            [sys.executable, "-m", "residency", "usage", str(project), "--json"],
            capture_output=True, text=True, check=True,
        ).stdout
    )  # fmt: skip
    print(f"the request log: {used['requests']} requests, {used['answered']} answered, "
          f"errors {used['errors']}")  # fmt: skip


def main() -> None:
    """Read the options and soak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=3, help="requests a second")
    parser.add_argument("--prompt-cache-mb", type=int, default=24)
    options = parser.parse_args()
    count = int(options.minutes * 60 * options.rate)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        project.mkdir()
        (project / "residency.toml").write_text(
            f'[project]\nname = "soak"\n[model]\nbase = "{options.base}"\nthreads = 1\n'
            '[data]\ntrain = ["rows.jsonl"]\n[serve]\nkeep_texts = true\n'
            f"prompt_cache_mb = {options.prompt_cache_mb}\n"
        )
        (project / "rows.jsonl").write_text('{"instruction": "a", "response": "b"}\n')
        server = SoakedServer(project, free_port(), Path(folder) / "server.log")
        began = time.monotonic()
        try:
            tallies = asyncio.run(soak_server(server, count, options.rate))
            print(f"SIGTERM: ended with {server.end(signal.SIGTERM)}")
        finally:
            if server.process.poll() is None:
                server.process.kill()
        print_result(server, tallies, time.monotonic() - began, project)


if __name__ == "__main__":
    main()
