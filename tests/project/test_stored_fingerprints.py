"""A run that is stored stays the project's run when Residency gets new settings."""

from __future__ import annotations

from pathlib import Path

from residency.config.settings import Config
from residency.nouns.content_id import content_id
from residency.project.workspace import Workspace


def test_a_new_setting_at_its_default_starts_no_stored_run_anew(tmp_path: Path) -> None:
    """Where this fails, the new setting belongs into ``SETTINGS_ADDED_LATER``: otherwise every project
    would be trained again, and its sealed test opened again."""
    settings = Workspace(tmp_path, Config()).list_result_settings()
    names = sorted(f"{section}.{name}" for section, values in settings.items() for name in values)
    assert content_id("settings", names) == "settings-5a863ffd0581dd78"
    changed = Config.model_validate({"data": {"oversample_dev": {"topic=refund": 9}}})
    assert Workspace(tmp_path, changed).list_result_settings() != settings
