"""Nobody but our own pages can write: origin, host and token, for every address that writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from residency.web.app import create_app

LOCAL = "http://127.0.0.1:8642"


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "residency.toml").write_text(f'[project]\nname = "{name}"\n')
    return create_app(tmp_path)


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=LOCAL, follow_redirects=False)


def read_token(client: TestClient) -> str:
    found = re.search(r'name="csrf" content="([0-9a-f]{64})"', client.get("/start").text)
    assert found
    return found[1]


def writing_paths(app: FastAPI) -> list[str]:
    routes = [r for r in app.routes if isinstance(r, APIRoute) and "POST" in r.methods]
    return [re.sub(r"\{[^}]*\}", "x", route.path) for route in routes]


def test_every_address_that_writes_refuses_a_request_without_the_token(
    app: FastAPI, client: TestClient
) -> None:
    paths = writing_paths(app)
    assert len(paths) >= 2
    for path in paths:
        for data in ({}, {"csrf": "0" * 64}, {"csrf": ""}):
            assert client.post(path, data=data).status_code in (403, 422), path
        # even a form that is right in every other field
        answer = client.post(path, json={}, headers={"X-CSRF-Token": "0" * 64})
        assert answer.status_code in (403, 422), path
    for route in app.routes:
        if isinstance(route, APIRoute) and "POST" in route.methods:
            assert any("check_token" in str(d.dependency) for d in route.dependencies), route.path


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8642.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": LOCAL, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_of_another_origin_is_refused_even_with_the_token(
    client: TestClient, headers: dict[str, str]
) -> None:
    data = {"csrf": read_token(client), "person": "mallory"}
    answer = client.post("/person", data=data, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_our_own_form_is_taken_by_field_or_header(client: TestClient) -> None:
    token = read_token(client)
    own = {"Origin": LOCAL, "Sec-Fetch-Site": "same-origin"}
    by_field = client.post("/person", data={"csrf": token, "person": "Ada"}, headers=own)
    by_header = client.post(
        "/person", data={"person": "Ada"}, headers={**own, "X-CSRF-Token": token}
    )
    assert (by_field.status_code, by_header.status_code) == (303, 303)
    assert "HttpOnly" in by_field.headers["set-cookie"]
    assert 'value="Ada"' in client.get("/start").text


def test_a_page_of_one_project_cannot_write_into_another(client: TestClient) -> None:
    before = read_token(client)
    for name in ("one", "two"):
        data = {"csrf": read_token(client), "name": name}
        assert client.post("/start/project", data=data).status_code == 303
    assert client.post("/person", data={"csrf": before, "person": "x"}).status_code == 403
    assert read_token(client) != before


def test_the_token_of_another_server_is_refused_and_a_fresh_one_can_be_read(
    client: TestClient, tmp_path: Path
) -> None:
    old = read_token(TestClient(create_app(tmp_path), base_url=LOCAL))
    assert client.post("/person", data={"csrf": old}).status_code == 403
    answer = client.get("/token", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    fresh = client.get("/token").json()["token"]
    assert client.post("/person", data={"csrf": fresh}).status_code == 303


def test_after_a_name_one_goes_back_to_a_page_of_ours_alone(client: TestClient) -> None:
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:0"):
        data = {"csrf": read_token(client), "person": "Ada", "back": back}
        assert client.post("/person", data=data).headers["location"] == "/", back


def test_a_body_of_unbounded_length_is_refused(client: TestClient) -> None:
    for length in ("999999999999", "-1", "x"):
        assert client.post("/person", headers={"Content-Length": length}).status_code == 413


def test_a_name_is_one_short_line_without_marks_that_drive_a_terminal(client: TestClient) -> None:
    from residency.web.request_writer import clean_name

    assert clean_name(" Ada \n Lovelace ") == "Ada Lovelace"
    assert len(clean_name("x" * 500)) <= 60
    assert "\x1b" not in clean_name("a\x1b]0;title\x07b")
