"""``residency export`` on a small project: files, proof, issues graded again, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from residency.cli.invoke import run_command_line
from residency.export.vllm_command import write_vllm_command
from small import save_model, save_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one round on a random model."""
    torch.set_num_threads(1)
    at = tmp_path_factory.mktemp("project")
    root = save_project(at / "p", save_model(at / "model", architecture="qwen3"), rounds=1)
    assert run_command_line(["run", str(root)]) in (0, 1)
    return root


@pytest.mark.parametrize("export_format", ["hf", "adapter", "gguf", "gguf-adapter", "ollama"])
def test_pain_34_every_format_is_proved_and_graded(
    export_format: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "gguf" in export_format or export_format == "ollama":
        pytest.importorskip("xllamacpp", reason="xllamacpp is not installed")
    out = tmp_path / "out"
    capsys.readouterr()
    code = run_command_line(
        ["export", str(project), "--format", export_format, "--quantise", "f32,q8_0",
         "--margin", "100", "--out", str(out), "--json"]
    )  # fmt: skip
    told = capsys.readouterr()
    assert code == 0, told.err
    result = json.loads(told.out)
    assert len(result["files"]) == (2 if export_format in ("gguf", "ollama") else 1)
    for row in result["files"]:
        assert not row["refused"]
        assert row["proof"]["prompts"] > 0
        assert row["score"] is not None
    card = (out / "README.md").read_text()
    assert card.startswith("---\n")
    assert "How it was measured" in card
    if export_format == "ollama":
        assert (out / "Modelfile-q8_0").is_file()
    if export_format == "adapter":
        settings = json.loads((out / "adapter" / "adapter_config.json").read_text())
        base = Path(
            settings["base_model_name_or_path"]
        )  # nobody else knows the project's name of it
        assert base.is_absolute() and (base / "config.json").is_file()
        assert f"vllm serve {base} " in told.out and str(base) in write_command(out)
    if export_format == "hf":
        assert str(out / "model") in write_command(out)
    again = run_command_line(["export", str(project), "--format", export_format, "--out", str(out)])
    assert again == 2 and "--force" in capsys.readouterr().err


def write_command(out: Path) -> str:
    return write_vllm_command(out, host="127.0.0.1", port=8000).command


def test_unknown_formats_and_bases_are_refused(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["--format", "onnx"], "gguf-adapter"),
        (["--format", "gguf", "--quantise", "q3"], "q8_0"),
        (["--model", "base"], "nothing to export"),
    ):
        code = run_command_line(
            ["export", str(project), "--out", str(tmp_path / "out"), *arguments]
        )
        assert code == 2 and words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pain_33_an_issue_that_rises_beyond_the_margin_fails_the_export(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that answers worse is not kept, and the exit code is 1; within the margin it is kept."""
    from residency.export import regrade_issues as regrade
    from residency.results.run_results import RunResults
    from residency.store.store import Store

    store = Store(project, create=False)
    issue = RunResults(store).issues[0].issue
    store.close()
    real = regrade.assess_model

    def answer_worse(ws: Any, model: Any, *_: Any) -> Any:
        """The model's own answers, every one of them failing the issue."""
        own = real(ws, model)
        return replace(
            own,
            findings=[
                replace(f, status="fail")
                if (f.kind, f.detector) == (issue.kind, issue.detector)
                else f
                for f in own.findings
            ],
        )

    def answer_well(ws: Any, model: Any) -> Any:
        own = real(ws, model)
        return replace(
            own,
            findings=[
                replace(f, status="pass")
                if (f.kind, f.detector) == (issue.kind, issue.detector)
                else f
                for f in own.findings
            ],
        )

    monkeypatch.setattr(regrade, "assess_model", answer_well)
    monkeypatch.setattr(regrade, "answer_dev", answer_worse)
    out = tmp_path / "out"
    line = ["export", str(project), "--format", "hf", "--out", str(out)]
    assert run_command_line([*line, "--margin", "5"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "rises from" in told and "Nothing was written" in told and "wider --margin" in told
    assert "itself" in told and "MB" in told  # what was measured is shown all the same
    assert run_command_line([*line, "--margin", "5", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["failed"] and not body["written"] and "wider --margin" in body["next_step"]
    assert "more than the margin of 5 points" in body["files"][0]["refused"]
    assert body["files"][0]["proof"]["prompts"] and body["files"][0]["issues"]
    assert not out.exists()
    assert run_command_line([*line, "--margin", "100"]) == 0
    assert (out / "dataset-card.md").is_file()
    card = (out / "README.md").read_text()
    assert "## Licences" in card and "no legal advice" in card


def test_nothing_is_pushed_without_a_token_or_where_a_file_is_refused(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    out = tmp_path / "out"
    line = ["export", str(project), "--out", str(out), "--push"]
    assert run_command_line([*line, "me/model"]) == 2
    assert "HF_TOKEN" in capsys.readouterr().err
    assert run_command_line([*line, "no-owner"]) == 2
    assert not out.exists()
