"""Free memory: a container's limit counts, and caches of generation stay within their share."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from residency.chat.chat_format import ChatFormat
from residency.infer import local_engine
from residency.infer.local_engine import LocalEngine
from residency.interfaces import Prompt
from residency.model.free_memory import measure_free_memory, release_memory
from residency.model.load_model import load_tokenizer
from residency.nouns.example import Message
from residency.nouns.response import Sampling
from small import save_model

MEGABYTE = 1 << 20


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    assert 0 < measure_free_memory(tmp_path) <= psutil.virtual_memory().total
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1\n")
    (tmp_path / "memory.stat").write_text("inactive_file 0\n")
    assert measure_free_memory(tmp_path) > 100


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_and_what_it_can_give_back(version: int, tmp_path: Path) -> None:
    folder = tmp_path / "memory" if version == 1 else tmp_path
    folder.mkdir(exist_ok=True)
    names = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        if version == 1
        else ("memory.max", "memory.current", "inactive_file")
    )
    (folder / names[0]).write_text(f"{64 * MEGABYTE}\n")
    (folder / names[1]).write_text(f"{40 * MEGABYTE}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {10 * MEGABYTE}\n")
    assert measure_free_memory(tmp_path) == 34 * MEGABYTE


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_group_in_a_group_counts(version: int, tmp_path: Path) -> None:
    """A job of Slurm's has a group of its own; the tightest of all that it lies in counts."""
    root = tmp_path / "memory" if version == 1 else tmp_path
    names = ("limit_in_bytes", "usage_in_bytes") if version == 1 else ("max", "current")
    for folder, limit in ((root / "slurm", 64), (root / "slurm" / "job7", 200)):
        folder.mkdir(parents=True)
        (folder / f"memory.{names[0]}").write_text(f"{limit * MEGABYTE}\n")
        (folder / f"memory.{names[1]}").write_text(f"{10 * MEGABYTE}\n")
        (folder / "memory.stat").write_text("anon 5\n")
    membership = tmp_path / "cgroup"
    line = "4:memory:/slurm/job7" if version == 1 else "0::/slurm/job7"
    membership.write_text(f"9:name=systemd:/\n{line}\n")
    assert measure_free_memory(tmp_path, membership) == 54 * MEGABYTE
    free = measure_free_memory(tmp_path, tmp_path / "nothing")
    assert free > 200 * MEGABYTE
    for text in (b"0::/elsewhere/../..\n", b"\nno colons\n3:memory\n", b"0::/caf\xe9\n", b""):
        membership.write_bytes(text)
        assert measure_free_memory(tmp_path, membership) > 200 * MEGABYTE


def test_little_memory_gives_the_same_answers_fewer_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = save_model(tmp_path / "base")
    prompts = [Prompt((Message("user", f"cup number {n}"),)) for n in range(9)]
    texts = []
    for free in (1 << 34, 4096):
        monkeypatch.setattr(local_engine, "measure_free_memory", lambda free=free: free)
        engine = LocalEngine(base, chat=ChatFormat(load_tokenizer(base)))
        answers = engine.generate(prompts, Sampling(max_new_tokens=6))
        texts.append([answer.token_ids for answer in answers])
    assert texts[0] == texts[1]


def test_freed_tensors_go_back_to_the_machine() -> None:
    """Many of a size that glibc keeps (below 32 MB), the last of them still in use."""
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("another C library than glibc")
    torch.empty(30 * MEGABYTE, dtype=torch.uint8).fill_(1)  # raises glibc's threshold
    tensors = [torch.ones(2 * MEGABYTE, dtype=torch.uint8) for _ in range(100)]
    held = psutil.Process().memory_info().rss
    del tensors[:-1]
    release_memory()
    assert held - psutil.Process().memory_info().rss > 150 * MEGABYTE
    assert int(tensors[0].sum()) == 2 * MEGABYTE


COUNT_PAGES = """
import resource, sys, torch
from residency.model.free_memory import keep_memory, release_memory
if sys.argv[1] == "keep":
    keep_memory()
size = 64 << 18  # 64 MB of fp32
for _ in range(8):  # till every block has its place
    torch.ones(size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
held = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
had = held()
release_memory()
print(had - held())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not glibc")
def test_large_tensors_are_taken_from_the_machine_once_where_memory_is_kept() -> None:
    """And what was kept can be given back."""
    pages: dict[str, int] = {}
    for way in ("usual", "keep"):
        done = subprocess.run(
            [sys.executable, "-c", COUNT_PAGES, way], capture_output=True, text=True, check=True
        )
        pages[way], given_back = map(int, done.stdout.split())
    assert pages["keep"] * 10 < pages["usual"]
    assert given_back > 32 * MEGABYTE
