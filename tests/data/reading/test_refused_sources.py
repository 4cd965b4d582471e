"""What is no file of rows is said so at once: addresses, and rows beyond what memory should hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from residency.data.reading.sources import find_sources
from residency.errors import DataError
from residency.files.records import read_records


@pytest.mark.parametrize(
    "address",
    ["http://u:PLANTED@h/x.jsonl", "https://h/x.jsonl", "s3://b/x.parquet", "file:///etc/passwd"],
)
def test_other_addresses_are_refused_as_addresses_without_their_password(
    tmp_path: Path, address: str
) -> None:
    with pytest.raises(DataError, match="this kind of address; nothing was fetched") as caught:
        find_sources([address], tmp_path)
    assert "PLANTED" not in str(caught.value)
    assert caught.value.next_step is not None and "download" in caught.value.next_step


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_line_beyond_the_limit_is_named_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, encoding: str
) -> None:
    monkeypatch.setattr("residency.files.bounded_lines.LONGEST_LINE", 1 << 20)
    path = tmp_path / f"a.{kind}"
    long = "x" * (3 << 20)
    rows = {
        "csv": f'question,answer\nshort,yes\n"{long}",yes\n',
        "jsonl": f'\n{{"question": "short"}}\n{{"question": "{long}"}}\n',
    }
    path.write_text(rows[kind], encoding=encoding)
    records = read_records(path, kind)  # type: ignore[arg-type]
    assert next(records).values is not None
    with pytest.raises(DataError, match=r"a\.\w+:3: a row of more than 1 MB"):
        next(records)


def test_a_quoted_field_over_many_lines_beyond_the_limit_asks_for_its_quote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residency.files.table_records.LONGEST_LINE", 1 << 16)
    path = tmp_path / "a.csv"
    path.write_text('question,answer\n"' + "word\n" * 20_000 + '",yes\n', encoding="utf-8")
    rejected = [record.error for record in read_records(path, "csv") if record.error]
    assert rejected and "is a quote not closed?" in rejected[0]
