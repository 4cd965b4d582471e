"""Files and folders are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from residency.files import atomic_write
from residency.files.atomic_write import (
    draft_name,
    open_draft,
    open_draft_folder,
    open_work_folder,
    publish_folder,
    write_bytes,
    write_json,
    write_json_lines,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_json_arrive_as_written_and_leave_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "ä\r\n\x85\n")
    write_bytes(tmp_path / "new" / "b.bin", b"\x00\xff")
    write_json(tmp_path / "new" / "c.json", {"b": "ü", "a": 1}, sort_keys=True)
    count = write_json_lines(
        tmp_path / "new" / "d.jsonl", ({"n": n, "t": "\u2028"} for n in range(3))
    )
    assert names(tmp_path / "new") == ["a.txt", "b.bin", "c.json", "d.jsonl"]
    assert (tmp_path / "new" / "a.txt").read_bytes() == "ä\r\n\x85\n".encode()
    assert list(json.loads((tmp_path / "new" / "c.json").read_text())) == ["a", "b"]
    lines = (tmp_path / "new" / "d.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
    assert count == 3 and [json.loads(line)["n"] for line in lines] == [0, 1, 2]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def rows():  # type: ignore[no-untyped-def]
        yield {"n": 1}
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        write_json_lines(path, rows())
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model [1]"
    with open_draft_folder(folder) as draft:
        (draft / "sub").mkdir()
        (draft / "sub" / "w").write_text("1")
    with open_draft_folder(folder) as draft:
        (draft / "v").write_text("2")
        assert (folder / "sub" / "w").read_text() == "1", "the old one stays until the end"
    assert names(tmp_path) == ["model [1]"] and names(folder) == ["v"]
    with pytest.raises(KeyError), open_draft_folder(folder) as draft:
        (draft / "half").write_text("3")
        raise KeyError
    assert names(tmp_path) == ["model [1]"] and names(folder) == ["v"]


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, draft = tmp_path / "f", tmp_path / "draft"
    folder.mkdir()
    (folder / "old").touch()
    draft.mkdir()
    real = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self == draft:
            raise OSError(errno.EACCES, "no")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        publish_folder(draft, folder)
    assert names(folder) == ["old"]


def test_drafts_of_dead_processes_are_removed_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(dead, 0)
    (tmp_path / f".a.draft-{dead}").mkdir()
    (tmp_path / f".a.draft-{dead}-old").mkdir()
    (tmp_path / f".a.draft-{os.getppid()}").touch()
    (tmp_path / f".ab.draft-{dead}").touch()
    (tmp_path / f".a.draft-{dead}@{atomic_write._MACHINE}-old").mkdir()
    (
        tmp_path / f".a.draft-{dead}@another"
    ).touch()  # of a machine with the same folder: it may live
    mine = draft_name(tmp_path / "a")
    assert names(tmp_path) == sorted(
        [f".a.draft-{os.getppid()}", f".a.draft-{dead}@another", f".ab.draft-{dead}"]
    )
    assert mine.name == f".a.draft-{os.getpid()}@{atomic_write._MACHINE}"
    assert draft_name(tmp_path / "a", shared=True).name == ".a.draft"


def test_a_work_folder_is_gone_after_the_end_and_after_a_kill(tmp_path: Path) -> None:
    with pytest.raises(ValueError), open_work_folder(tmp_path / "a") as work:
        (work / "merged").write_text("large")
        assert work.parent == tmp_path  # the disk that must hold the result, not /tmp
        raise ValueError
    assert names(tmp_path) == []
    dead = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(dead, 0)
    (tmp_path / work.name.replace(str(os.getpid()), str(dead))).mkdir()
    draft_name(tmp_path / "a")
    assert names(tmp_path) == []


def test_bytes_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "a", []
    monkeypatch.setattr(
        atomic_write, "_flush_to_disk", lambda p: flushed.append((p.name, path.exists()))
    )
    with open_draft(path) as draft:
        draft.write_text("x")
    assert flushed == [(draft.name, False), (tmp_path.name, True)]


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(os.devnull)
    for place in (pipe, link, Path(os.devnull)):
        with pytest.raises(PermissionError, match="a device, pipe or socket lies here"):
            write_text(place, "text")
    assert pipe.is_fifo() and link.is_symlink() and Path(os.devnull).is_char_device()
    assert sorted(tmp_path.iterdir()) == [link, pipe]
