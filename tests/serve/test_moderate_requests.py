"""A project's moderation as the server sees it: its settings, and the rules of its suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from finished_run import copy_run
from residency.commands.project import Project
from residency.nouns.example import Message
from residency.serve.moderate_requests import (
    AnswerModerator,
    RequestModerator,
    open_project_moderator,
)
from residency.serve.open_hooks import open_hooks

CARD = "4111 1111 1111 1111"
SUITE = '[[rules]]\nrule = "contains"\nname = "colour"\nall = ["colour:"]\n'


@pytest.fixture
def project(finished_run: Path, tmp_path: Path) -> Project:
    root = copy_run(finished_run, tmp_path / "project")
    settings = root / "residency.toml"
    text = settings.read_text()
    settings.write_text(
        text
        + '\n[moderation]\ninputs = {card = "refuse", email = "mask"}\noutputs = {card = "mask"}\n'
    )
    return Project.open(root)


def test_what_clients_ask(project: Project) -> None:
    moderator = RequestModerator(open_project_moderator(project, "input"))
    allowed = moderator.moderate_input([Message("user", "hello")])
    assert (allowed.action, allowed.messages) == ("allow", None)
    masked = moderator.moderate_input([Message("user", "I am ann@shop.de")])
    assert masked.messages == (Message("user", "I am [email address]"),)
    refused = moderator.moderate_input([Message("user", f"pay {CARD}")])
    assert (refused.action, refused.kind) == ("refuse", "payment card")
    assert CARD not in refused.reason and refused.by.startswith("input: personal data")


def test_what_models_write_begins_with_what_left_before(project: Project) -> None:
    moderator = AnswerModerator(open_project_moderator(project, "output"))
    text = f"The first sentence. Then {CARD} and more.\nThe end"
    left = ""
    for end in range(len(text)):
        decision = moderator.moderate_output(text[:end], False)
        assert decision.text.startswith(left) and "4111" not in decision.text
        left = decision.text
    last = moderator.moderate_output(text, True)
    assert last.text == "The first sentence. Then [payment card] and more.\nThe end"
    assert (last.action, last.kind) == ("mask", "payment card") and last.text.startswith(left)


def test_rules_of_the_suite_flag_answers(project: Project) -> None:
    (project.root / "suite.toml").write_text(SUITE)
    again = Project.open(project.root, overrides={"evaluate.suite": "suite.toml"})
    moderator = AnswerModerator(open_project_moderator(again, "output"))
    assert moderator.moderate_output("colour: red", True).action == "allow"
    broken = moderator.moderate_output("nothing of the kind", True)
    assert (broken.action, broken.kind) == ("flag", "rule colour")


def test_a_server_is_given_what_the_settings_ask_for(project: Project) -> None:
    hooks = open_hooks(project)
    assert (len(hooks.inputs), len(hooks.outputs), len(hooks.observers)) == (1, 1, 1)
    assert hooks.texts is False
    hooks.observers[0].close()
    kinds = ("personal", "secrets", "offensive", "guard", "rules")
    off = dict.fromkeys(kinds, "off")
    silent = Project.open(
        project.root,
        overrides={
            "moderation.inputs": off, "moderation.outputs": off, "serve.log_requests": False
        },
    )  # fmt: skip
    nothing = open_hooks(silent)
    assert (nothing.inputs, nothing.outputs, nothing.observers) == ((), (), ())
