"""Scripts for schedulers are valid, whatever the folder is called, and refuse what is not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from residency.errors import UserError
from residency.jobs.launch_scripts import Launch, read_seconds, write_kubernetes, write_slurm

NASTY = '/data/it\'s; rm -rf $HOME `x` "y"/démo'


@pytest.mark.parametrize("gpus", [0, 8])
@pytest.mark.parametrize("project", ["/data/demo", NASTY])
def test_an_sbatch_script_is_a_clean_shell_script(tmp_path: Path, gpus: int, project: str) -> None:
    script = write_slurm(
        Launch(project, nodes=2, gpus=gpus, memory="64G", partition="a100", account="team-1")
    )
    file = tmp_path / "job.sbatch"
    file.write_text(script)
    subprocess.run(["bash", "-n", str(file)], check=True)
    if checker := shutil.which("shellcheck"):
        done = subprocess.run([checker, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    directives = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert "#SBATCH --nodes=2" in directives and "#SBATCH --time=12:00:00" in directives
    assert ("#SBATCH --gpus-per-node=8" in directives) == bool(gpus)
    assert script.splitlines()[: len(directives) + 1] == ["#!/bin/bash", *directives]


def test_a_dry_run_of_the_script_calls_torchrun_as_it_should(tmp_path: Path) -> None:
    """The schedulers' commands stand in for themselves and write down how they were called."""
    for name in ("srun", "scontrol"):
        body = "echo node-7; echo node-8" if name == "scontrol" else 'printf "%s\\n" "$@" >"$LOG"'
        tool = tmp_path / name
        tool.write_text(f"#!/bin/bash\n{body}\n")
        tool.chmod(0o755)
    script = tmp_path / "job.sbatch"
    script.write_text(write_slurm(Launch(NASTY, command="run", nodes=2, gpus=4)))
    log = tmp_path / "log"
    env = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "LOG": str(log),
        "SLURM_JOB_NODELIST": "node-[7-8]",
        "SLURM_JOB_ID": "42",
        "SLURM_CPUS_PER_TASK": "8",
    }
    subprocess.run(["bash", str(script)], check=True, env=env)
    words = log.read_text().splitlines()
    assert words[:2] == ["--kill-on-bad-exit=1", "torchrun"]
    assert words[words.index("--nproc-per-node") + 1] == "4"
    assert words[words.index("--rdzv-endpoint") + 1] == "node-7:29542"
    assert words[words.index("--rdzv-id") + 1] == "42"
    assert words[-4:] == ["-m", "residency", "run", NASTY]


def test_manifests_are_a_service_and_a_pod_for_each_machine() -> None:
    text = write_kubernetes(
        Launch(NASTY, nodes=3, gpus=2, memory="64G", image="shop/residency:1", claim="demo")
    )
    assert "&id" not in text
    service, job = yaml.safe_load_all(text)
    assert service["spec"]["clusterIP"] == "None"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 3
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["command"][-2:] == ["train", NASTY]
    assert "--nproc-per-node=2" in container["command"]
    assert container["resources"]["limits"] == {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": 2}
    selector = service["spec"]["selector"]
    assert selector == job["spec"]["template"]["metadata"]["labels"]
    assert job["spec"]["activeDeadlineSeconds"] == 12 * 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("30:05", 1805), ("1:30:00", 5400), ("2-1", 176400), ("1-00:10", 87000)],
)
def test_times_are_read_as_slurm_reads_them(text: str, seconds: int) -> None:
    assert read_seconds(text) == seconds


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "My Job"),
        ("name", "1b"),
        ("time", "0"),
        ("time", "soon"),
        ("memory", "lots"),
        ("partition", "a b"),
        ("account", "x\n#SBATCH --uid=0"),
        ("command", "web"),
        ("project", "/data/a\n#SBATCH --uid=0"),
    ],
)
def test_what_would_break_out_of_a_script_is_refused(option: str, value: str) -> None:
    settings = {"project": "/data/demo", option: value}
    with pytest.raises(UserError):
        write_slurm(Launch(**settings))  # type: ignore[arg-type]


def test_manifests_hold_the_folder_as_kubernetes_reads_it() -> None:
    job = list(yaml.safe_load_all(write_kubernetes(Launch("/a/$(HOME)", image="x", claim="y"))))[1]
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["command"][-1] == "/a/$$(HOME)"
    assert container["volumeMounts"][0]["mountPath"] == "/a/$(HOME)"
    with pytest.raises(UserError, match="mounts no folder"):
        write_kubernetes(Launch("/a:b", image="x", claim="y"))


def test_jobs_that_share_a_node_meet_at_ports_of_their_own_with_all_processors() -> None:
    script = write_slurm(Launch("/data/demo"))
    assert "port=$((29500 + SLURM_JOB_ID % 3000))" in script and ":29500" not in script
    assert script.index("SRUN_CPUS_PER_TASK") < script.index("srun --kill")
