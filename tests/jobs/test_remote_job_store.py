"""Jobs whose files lie behind a URL: in memory, and in an object store that speaks S3."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import job_functions
from object_store import KEY, run_object_store
from residency.errors import StoreError
from residency.jobs.job import Job, JobResult
from residency.jobs.job_store import open_job_store
from residency.jobs.processes import Processes
from residency.jobs.run_jobs import ThisProcess, run_jobs


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of an object store on this machine; other processes find it by the environment."""
    with run_object_store("jobs") as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(job_functions.__file__).parent))
        yield address


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest) -> str:
    where = "memory:/" if request.param == "memory" else request.getfixturevalue("s3")
    return f"{where}/{uuid.uuid4().hex}"


def make_graph(log: Path, width: int = 4) -> list[Job]:
    place = {"log": str(log), "seconds": 0.0}
    parts = [
        Job("job_functions:add_numbers", {"number": 10**n}, place=place, title=f"part {n}")
        for n in range(width)
    ]
    needs = {f"part {n}": job.id for n, job in enumerate(parts)}
    return [Job("job_functions:add_numbers", {"number": 7}, needs=needs, place=place), *parts]


@pytest.mark.parametrize(
    "listed",
    [
        '["../../escaped"]',
        '["/escaped"]',
        '["a/../../escaped"]',
        '["..\\\\escaped"]',
        '{"a": 1}',
        "[3]",
        "x",
    ],
)
def test_a_stored_list_writes_nothing_outside_of_its_folder(
    listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    address = f"memory://{uuid.uuid4().hex}"
    store, digest = open_job_store(address), "sha256:" + "0" * 64
    files = fsspec.filesystem("memory")
    there = f"{address}/artifacts/sha256-{'0' * 32}"
    for name in ("escaped", "../../escaped", "a/../../escaped"):
        files.pipe_file(f"{there}/{name}", b"escaped")
    files.pipe_file(f"{there}.whole", listed.encode())
    with pytest.raises(StoreError):
        store.open_folder(digest)
    assert not [path for path in tmp_path.rglob("*") if path.name == "escaped"]


def test_the_folder_for_fetched_files_is_its_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    open_job_store(f"memory://{uuid.uuid4().hex}")
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    folder.rename(tmp_path / "other")
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="somebody else"):
        open_job_store(f"memory://{uuid.uuid4().hex}")


def test_a_graph_is_done_once(address: str, tmp_path: Path) -> None:
    store, log = open_job_store(address), tmp_path / "log"
    jobs = make_graph(log)
    results = run_jobs(jobs, store, ThisProcess(store))
    assert results[jobs[0].id].value == {"sum": 1118}
    other = open_job_store(address)  # as another driver sees it
    assert run_jobs(jobs, other, ThisProcess(other)) == results
    assert len(log.read_text().splitlines()) == len(jobs)


def test_what_one_writes_another_sees_at_once(address: str, tmp_path: Path) -> None:
    """Also where it has asked before: no listing is remembered."""
    one, other = open_job_store(address), open_job_store(address)
    (tmp_path / "files" / "deep").mkdir(parents=True)
    (tmp_path / "files" / "deep" / "a.txt").write_text("a")
    assert one.find_result("job-1") is None and other.find_result("job-1") is None
    digest = one.put_folder(tmp_path / "files")
    one.add_result(JobResult("job-1", {"x": 1}, digest))
    assert other.find_result("job-1") == JobResult("job-1", {"x": 1}, digest)
    assert (other.open_folder(digest) / "deep" / "a.txt").read_text() == "a"


def test_processes_share_an_object_store(s3: str, tmp_path: Path) -> None:
    address = f"{s3}/{uuid.uuid4().hex}"
    store, log = open_job_store(address), tmp_path / "log"
    jobs = make_graph(log)
    with Processes(address, 2) as runner:
        results = run_jobs(jobs, store, runner)
    assert results[jobs[0].id].value == {"sum": 1118}
    assert len(log.read_text().splitlines()) == len(jobs)


@pytest.mark.parametrize("trouble", ["no bucket", "no server", "no key"])
def test_trouble_with_the_object_store_is_told_without_its_key(
    s3: str, trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = s3
    if trouble == "no bucket":
        address = "s3://nobody/jobs"
    elif trouble == "no server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    else:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError) as caught:
        store = open_job_store(address)
        store.put_folder(tmp_path)
        store.add_result(JobResult("job-1", {}, ""))
    assert address in str(caught.value) and KEY not in str(caught.value)
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_password_in_the_address_is_not_shown() -> None:
    with pytest.raises(StoreError) as caught:
        open_job_store("ftp://bob:PLANTEDPW@127.0.0.1:9/jobs")
    assert "PLANTEDPW" not in str(caught.value)
