"""Files that are not what their name says: pointers, saved pages, texts named as tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.config.data import DataConfig
from residency.data.reading.source_reader import read_sources
from residency.errors import DataError
from residency.files.opening import find_kind

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
PAGE = "<!DOCTYPE html>\n<html><body><p>a, b</p></body></html>\n"


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "txt", "parquet", "yaml"])
def test_a_git_lfs_pointer_is_named_whatever_it_is_called(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{ending}"
    file.write_text(POINTER)
    with pytest.raises(DataError, match="Git LFS pointer") as caught:
        find_kind(file)
    assert "git lfs pull" in caught.value.next_step


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv", "parquet", "yaml"])
@pytest.mark.parametrize("text", [PAGE, PAGE.lower(), "\ufeff" + PAGE, "\n<html lang='en'>"])
def test_a_saved_page_is_no_rows(text: str, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{ending}"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="an HTML page"):
        find_kind(file)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather", "sqlite", "db"])
def test_text_is_never_read_as_rows_of_a_binary_table(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"rows.{ending}"
    file.write_text("404: Not Found")
    with pytest.raises(DataError, match=r"no \w+ file: it begins with '404: Not Found'"):
        find_kind(file)


def test_pages_are_text_where_they_are_called_so(tmp_path: Path) -> None:
    for ending in ("txt", "html", "md"):
        file = tmp_path / f"page.{ending}"
        file.write_text(PAGE)
        assert find_kind(file) == "text"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_columns_in_a_text_file_are_a_table(encoding: str, tmp_path: Path) -> None:
    """Excel saves "Unicode Text": UTF-16, tabs, and the ending .txt."""
    file = tmp_path / "table.txt"
    file.write_text("Question\tAnswer\nWhat?\tThis.\nWho?\tShe.\n", encoding=encoding)
    assert find_kind(file) == "csv"
    result = read_sources([file.name], DataConfig(), "train", tmp_path)
    assert [e.messages[-1].content for e in result.examples] == ["This.", "She."]


@pytest.mark.parametrize("text", ["one line\twith a tab\n", "a\tb\nno tab\n", "poem\n\tindented\n"])
def test_a_text_with_a_tab_here_and_there_is_text(text: str, tmp_path: Path) -> None:
    file = tmp_path / "prose.txt"
    file.write_text(text)
    assert find_kind(file) == "text"
