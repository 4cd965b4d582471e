"""Which settings can change a result: they are part of what names a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from residency.config.settings import Config
from residency.plugins import PluginFile
from residency.text.words import hash_text

SETTINGS_WITHOUT_RESULT = {
    "project": ("name", "store", "artifacts"),
    "target": ("review", "teacher_license"),
    "model": ("license",),
    "data": ("license", "most_rows"),
    "judge": (),
    "teacher": (),
    "moderation": (),
    "guard": (),
    "serve": (),
}
"""Settings that cannot change a result (an empty tuple: the whole table); changing one keeps the run."""

SETTINGS_ADDED_LATER = (
    ("project", "plugins"),
    ("data", "oversample_dev"),
    ("data", "replay"),
    ("evaluate", "reduce"),
    ("generate", "precision"),
    ("model", "fold_system"),
    ("rounds", "trainings"),
    ("rounds", "minutes"),
    ("rounds", "runs"),
    ("rounds", "replay_control"),
    ("train", "metric"),
    ("train", "metric_rows"),
    ("train", "metric_items"),
    ("train", "replay"),
)
"""Settings that stored runs do not know: at their default they are no part of a run's fingerprint."""


def list_result_settings(config: Config, plugin_files: Sequence[PluginFile]) -> dict[str, Any]:
    """The settings that can change a result, by section; plugin files by their content."""
    settings = config.model_dump(mode="json")
    defaults = Config().model_dump(mode="json")
    for section, name in SETTINGS_ADDED_LATER:
        if settings[section][name] == defaults[section][name]:
            settings[section].pop(name)
    if plugin_files:
        settings["project"]["plugins"] = [hash_text(file.text) for file in plugin_files]
    for section, names in SETTINGS_WITHOUT_RESULT.items():
        for name in names:
            settings[section].pop(name)
        if not names:
            settings.pop(section)
    return settings
