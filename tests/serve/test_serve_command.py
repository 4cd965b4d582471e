"""The command itself: it says where it listens, drains on SIGTERM, and knows other engines' needs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from residency.commands.project import Project
from residency.commands.serve import ask_guard, serve_gguf
from residency.errors import ConfigError, ModelError, UserError
from residency.export.vllm_command import write_vllm_command
from small import save_model, save_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("command")
    return save_project(at / "project", save_model(at / "model"))


def test_sigterm_finishes_what_is_in_hand_and_exits_0(root: Path) -> None:
    settings = {**os.environ, "RESIDENCY_SERVE_KEY": "", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "residency", "serve", str(root), "--port", "0", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=settings, text=True
    )
    try:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert listening["models"][0] == "base"
        body = {
            "model": "base", "messages": [{"role": "user", "content": "a private sentence"}],
            "max_tokens": 300, "stream": True, "logit_bias": {str(n): -100 for n in range(5)},
        }  # fmt: skip
        url = f"{listening['url']}/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=60) as reply:
            lines = reply.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        assert rest[-1] == "data: [DONE]"
        assert '"finish_reason":"length"' in rest[-2]
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "private" not in out + err
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("", ["is refused"]),
        ('failure = "allow"', ["passes unseen by it"]),
        ('[moderation]\ninputs = { guard = "off" }\noutputs = { guard = "off" }', []),
    ],
)
def test_a_guard_that_does_not_answer_is_told_at_the_start(
    root: Path, tmp_path: Path, settings: str, told: list[str]
) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "p"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
    text = (copy / "residency.toml").read_text()
    (copy / "residency.toml").write_text(
        f'{text}\n[guard]\nurl = "{url}"\nretries = 0\n{settings}\n'
    )
    notes = ask_guard(Project.open(copy))
    assert len(notes) == len(told)
    for note, words in zip(notes, told, strict=True):
        assert "[guard] does not answer" in note and words in note


# --- vLLM ----------------------------------------------------------------------------------------


def write_adapter(folder: Path, *, rank: int = 4, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    settings = {
        "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"],
        "base_model_name_or_path": "/models/a base", "peft_type": "LORA", **changes,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    save_file(
        {
            f"{name}.lora_A.weight": np.zeros((4, 8), np.float32),
            f"{name}.lora_B.weight": np.zeros((8, 4), np.float32),
        },
        folder / "adapter_model.safetensors",
    )
    return folder


def test_the_vllm_command_can_be_pasted(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "my export" / "adapter")
    written = write_vllm_command(tmp_path / "my export", host="127.0.0.1", port=8000)
    words = shlex.split(written.command)
    assert words[:3] == ["vllm", "serve", "/models/a base"]
    assert words[words.index("--max-lora-rank") + 1] == "8"
    assert words[words.index("--lora-modules") + 1] == f"my export={adapter}"
    assert words[words.index("--chat-template") + 1] == str(adapter / "chat_template.jinja")
    assert written.model == "my export"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modules_to_save": ["lm_head"]}, "saved whole"),
        ({"use_dora": True}, "DoRA"),
        ({"rank": 600}, "rank"),
        ({"rank": 16}, "the rank is 16"),
        ({"target_modules": ["v_proj"]}, "target_modules"),
        ({"base_model_name_or_path": None}, "which base"),
    ],
)
def test_what_vllm_would_refuse_is_told(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_adapter(tmp_path / "adapter", **changes)
    with pytest.raises(ModelError, match=message):
        write_vllm_command(tmp_path / "adapter", host="127.0.0.1", port=8000)


def test_a_folder_that_is_no_export_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither"):
        write_vllm_command(tmp_path, host="127.0.0.1", port=8000)


# --- llama.cpp -----------------------------------------------------------------------------------


def test_llamacpp_is_not_started_where_moderation_is_asked_for(root: Path, tmp_path: Path) -> None:
    project = Project.open(root, overrides={"moderation.outputs": {"secrets": "mask"}})
    with pytest.raises(ConfigError, match="does not moderate"):
        serve_gguf(project, tmp_path / "none.gguf", port=0)


def test_a_gguf_file_that_is_not_there_is_told(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(ModelError, match="no such file"):
        serve_gguf(Project.open(root), tmp_path / "none.gguf", port=0)
