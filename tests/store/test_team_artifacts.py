"""Artifacts that a team shares: in a folder, in memory, and in an object store that speaks S3."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from object_store import KEY, run_object_store
from residency.errors import StoreError, UserError
from residency.files.content_hash import hash_folder
from residency.store.artifacts import name_artifact
from residency.store.store import Store
from residency.store.team_artifacts import TeamArtifacts


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with run_object_store("team") as address:
        yield address


@pytest.fixture(params=["folder", "memory", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        (tmp_path / "share").mkdir()
        return "share"
    where = "memory:/" if request.param == "memory" else request.getfixturevalue("s3")
    return f"{where}/{uuid.uuid4().hex}"


class Member:
    """A machine of the team; ``told`` is what it was told."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.told: list[str] = []
        self.artifacts = TeamArtifacts(folder / name, address, folder, self.told.append)


def make_adapter(folder: Path, words: str = "weights") -> Path:
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "a.json").write_text(words)
    (folder / "deep" / "b.bin").write_bytes(words.encode() * 1000)
    return folder


def damage_shared(address: str, digest: str, folder: Path, *, remove: bool = False) -> None:
    """Change or remove a file of the team's copy."""
    import fsspec

    where = address if "://" in address else f"file://{folder / address}"
    files, root = fsspec.url_to_fs(where, use_listings_cache=False)
    file = f"{root}/artifacts/{name_artifact(digest)}/deep/b.bin"
    assert files.exists(file)
    files.rm_file(file) if remove else files.pipe_file(file, b"other")


def test_what_one_trains_another_opens(address: str, tmp_path: Path) -> None:
    alice, bob = Member("a", address, tmp_path), Member("b", address, tmp_path)
    digest = alice.artifacts.put_folder(make_adapter(tmp_path / "new"))
    assert bob.artifacts.check_artifact(digest) == "missing"
    assert bob.artifacts.find_state(digest) == "whole"
    assert hash_folder(bob.artifacts.folder(digest)) == digest
    assert bob.artifacts.folder(digest) == tmp_path / "b" / name_artifact(digest)
    assert not alice.told and not bob.told


@pytest.mark.parametrize("remove", [False, True])
def test_a_damaged_shared_copy_is_refused_and_sent_again(
    remove: bool, address: str, tmp_path: Path
) -> None:
    alice, bob = Member("a", address, tmp_path), Member("b", address, tmp_path)
    digest = alice.artifacts.put_folder(make_adapter(tmp_path / "new"))
    damage_shared(address, digest, tmp_path, remove=remove)
    with pytest.raises(StoreError, match="the team's copy was changed") as caught:
        bob.artifacts.folder(digest)
    assert "residency doctor --repair" in caught.value.next_step
    assert caught.value.where.endswith(address)
    assert not bob.artifacts.path_of(digest).exists()
    assert alice.artifacts.check_shared(digest) == "changed"
    alice.artifacts.drop_shared(digest)
    assert bob.artifacts.find_state(digest) == "missing"
    with pytest.raises(StoreError, match="not on this machine and not with the team"):
        bob.artifacts.folder(digest)
    alice.artifacts.send_missing()
    assert hash_folder(bob.artifacts.folder(digest)) == digest


def test_a_copy_that_was_changed_here_is_fetched_again_and_never_sent(
    address: str, tmp_path: Path
) -> None:
    alice, bob = Member("a", address, tmp_path), Member("b", address, tmp_path)
    digest = alice.artifacts.put_folder(make_adapter(tmp_path / "new"))
    (bob.artifacts.folder(digest) / "a.json").write_text("changed")
    again = Member("b", address, tmp_path).artifacts
    assert again.find_state(digest) == "whole"
    assert hash_folder(again.folder(digest)) == digest
    assert again.path_of(digest).with_name(f"{name_artifact(digest)}.changed-1").exists()
    (alice.artifacts.path_of(digest) / "a.json").write_text("changed")
    alice.artifacts.drop_shared(digest)
    Member("a", address, tmp_path).artifacts.send_missing()
    assert bob.artifacts.check_shared(digest) == "missing"


def test_what_was_made_while_the_folder_was_gone_is_sent_with_the_next(tmp_path: Path) -> None:
    alice, bob = Member("a", "share", tmp_path), Member("b", "share", tmp_path)
    first = alice.artifacts.put_folder(make_adapter(tmp_path / "new", "first"))
    assert alice.artifacts.folder(first).exists()
    (told,) = alice.told
    assert "share" in told and "not there" in told and "next residency run sends it" in told
    assert not (tmp_path / "share").exists()  # where a mount is gone, nothing is made in its place
    for doing in (bob.artifacts.find_state, bob.artifacts.folder, bob.artifacts.check_shared):
        with pytest.raises(StoreError, match="not there") as caught:
            doing(first)
        assert "mount it" in caught.value.next_step
    (tmp_path / "share").mkdir()
    second = alice.artifacts.put_folder(make_adapter(tmp_path / "new", "second"))
    assert [hash_folder(bob.artifacts.folder(digest)) for digest in (first, second)] == [
        first,
        second,
    ]


def test_an_object_store_that_does_not_answer_loses_nothing(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    address = f"{s3}/{uuid.uuid4().hex}"
    alice, bob = Member("a", address, tmp_path), Member("b", address, tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        s3fs.S3FileSystem.clear_instance_cache()
        digest = alice.artifacts.put_folder(make_adapter(tmp_path / "new"))
        assert alice.artifacts.folder(digest).exists()
        assert address in alice.told[0] and KEY not in alice.told[0]
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            bob.artifacts.find_state(digest)
        assert address in str(caught.value) and KEY not in str(caught.value)
    s3fs.S3FileSystem.clear_instance_cache()
    Member("a", address, tmp_path).artifacts.send_missing()
    assert Member("b", address, tmp_path).artifacts.folder(digest).exists()


def test_a_half_sent_folder_does_not_count(address: str, tmp_path: Path) -> None:
    """A sender that was killed: its files without the mark, or its draft."""
    alice, bob = Member("a", address, tmp_path), Member("b", address, tmp_path)
    digest = alice.artifacts.put_folder(make_adapter(tmp_path / "new"))
    if "://" in address:
        import fsspec

        files, root = fsspec.url_to_fs(address, use_listings_cache=False)
        files.rm_file(f"{root}/artifacts/{name_artifact(digest)}.whole")
    else:
        shared = tmp_path / "share" / "artifacts" / name_artifact(digest)
        shutil.move(shared, shared.with_name(f".{shared.name}.draft-1@another"))
    assert bob.artifacts.find_state(digest) == "missing"
    alice.artifacts.send_missing()
    assert hash_folder(bob.artifacts.folder(digest)) == digest


def test_a_password_in_the_address_is_masked_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARE_PASSWORD", "PLANTEDPW")
    for address in (
        "ftp://bob:PLANTEDPW@127.0.0.1:9/x",
        "ftp://bob:${SHARE_PASSWORD}@127.0.0.1:9/x",
    ):
        member = Member("a", address, tmp_path)
        with pytest.raises(StoreError) as caught:
            member.artifacts.find_state("sha256:" + "0" * 64)
        member.artifacts.put_folder(make_adapter(tmp_path / "new"))
        assert member.told
        assert "PLANTEDPW" not in f"{caught.value}{member.told}{member.artifacts.shown}"


def test_a_place_in_the_memory_of_one_process_is_no_place_of_a_team(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one process alone"):
        Store(tmp_path, artifacts="memory://team")
