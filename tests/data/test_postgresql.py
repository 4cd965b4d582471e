"""A PostgreSQL query as a source, against a real server that the test starts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from postgresql_server import run_postgresql
from residency.commands.check import check
from residency.config.data import DataConfig
from residency.data.reading.source_reader import ReadResult, read_sources
from residency.data.reading.sources import find_sources
from residency.errors import DataError

ROWS = 5001


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a database with a table ``faq``."""
    with run_postgresql() as uri:
        import psycopg

        with psycopg.connect(uri) as connection:
            connection.execute("create table faq (id int, question text, answer text, kunde text)")
            with connection.cursor() as cursor:
                cursor.executemany(
                    "insert into faq values (%s, %s, %s, %s)",
                    [(n, f"Wo ist Käse {n}?", f"Im Regal {n}.", f"k{n % 7}") for n in range(ROWS)],
                )
        yield uri


def ask(server: str, query: str, **settings: object) -> ReadResult:
    config = DataConfig.model_validate(settings)
    return read_sources([f"{server}&query={query}"], config, "train", Path())


def count(server: str) -> int:
    import psycopg

    with psycopg.connect(server) as connection:
        found = connection.execute("select count(*) from faq").fetchone()
    return int(found[0]) if found else -1


def test_every_row_of_a_query_in_its_order(server: str) -> None:
    columns = {"group": "kunde"}
    result = ask(server, "select * from faq where id % 2 = 0 order by id", columns=columns)
    assert result.rejects == []
    assert result.format == "question"
    ids = range(0, ROWS, 2)
    assert [e.prompt_text for e in result.examples] == [f"Wo ist Käse {n}?" for n in ids]
    assert [e.group for e in result.examples] == [f"k{n % 7}" for n in ids]
    assert [e.source.rpartition(":")[2] for e in result.examples[:3]] == ["1", "2", "3"]


def test_a_query_may_be_written_as_in_a_url(server: str) -> None:
    query = quote("select question, answer from faq where question like '%5000%'")
    assert [e.reference for e in ask(server, query).examples] == ["Im Regal 5000."]


def test_rows_come_as_they_are_taken(server: str) -> None:
    """Rows by the hundred thousand million would neither fit in memory nor arrive in time."""
    query = "select a.question, b.answer from faq a, faq b, faq c"
    (source,) = find_sources([f"{server}&query={query}"], Path())
    records = source.records()
    first = list(itertools.islice(records, 3))
    records.close()  # type: ignore[attr-defined]
    assert [r.line for r in first] == [1, 2, 3]
    assert all(r.values and r.values.keys() == {"question", "answer"} for r in first)


@pytest.mark.parametrize(
    "query",
    [
        "delete from faq returning question, answer",
        "with gone as (delete from faq returning *) select question, answer from gone",
        "insert into faq values (1, 'a', 'b', 'c') returning question, answer",
    ],
)
def test_nothing_is_ever_changed(server: str, query: str) -> None:
    with pytest.raises(DataError, match="the query failed"):
        ask(server, query)
    assert count(server) == ROWS


def test_what_is_wrong_with_a_query_is_said_without_the_password(server: str) -> None:
    with pytest.raises(DataError, match=r'relation "fragen" does not exist'):
        ask(server, "select * from fragen")
    secret = "postgresql://ana:geheim@localhost:1/faq"
    for spec in (secret, f"{secret}?query=select 1"):
        with pytest.raises(DataError) as caught:
            read_sources([spec], DataConfig(), "train", Path())
        assert "geheim" not in str(caught.value)
        assert "localhost:1/faq" in str(caught.value)


def test_empty_fields_are_rejected_by_row(server: str) -> None:
    result = ask(
        server, "select question, nullif(id, 3)::text as answer from faq order by id limit 5"
    )
    assert [(r.line, r.field) for r in result.rejects] == [(4, "answer")]


def test_the_doctor_reads_it_too(server: str) -> None:
    report = check(f"{server}&query=select question, answer from faq order by id limit 40").report
    assert report.rows["train"] == 40
    assert report.files[0].kind == "postgresql"
    assert "query" not in report.files[0].path
