"""Which detectors there are: the built-in ones, and those of plugins.

A plugin is a ``Detector``: a name, a version, and a function from items and their context to one
finding an item. A package names it by an entry point in the group ``residency.detectors``; a
project's file calls ``register_plugin("detectors", NAME, DETECTOR)`` and stands in ``plugins``
under ``[project]``.
"""

from __future__ import annotations

from residency.diagnose.detectors import (
    hallucination,
    inconsistency,
    misspelling,
    overlong,
    repetition,
)
from residency.diagnose.detectors.base import Detector
from residency.errors import ConfigError
from residency.plugins import find_plugins

DETECTORS: dict[str, Detector] = {
    detector.name: detector
    for detector in (
        Detector(misspelling.NAME, misspelling.VERSION, misspelling.detect_misspelling),
        Detector(overlong.NAME, overlong.VERSION, overlong.detect_overlong),
        Detector(repetition.NAME, repetition.VERSION, repetition.detect_repetition),
        Detector(inconsistency.NAME, inconsistency.VERSION, inconsistency.detect_inconsistency),
        Detector(hallucination.NAME, hallucination.VERSION, hallucination.detect_hallucination),
    )
}
"""The built-in detectors."""


def find_detectors() -> dict[str, Detector]:
    """Every detector by name; a plugin of a built-in one's name replaces it.

    Raises:
        ConfigError: a plugin is no ``Detector``, or calls itself by another name.
    """
    plugins = find_plugins("detectors")
    for name, plugin in plugins.items():
        if not isinstance(plugin, Detector) or plugin.name != name:
            raise ConfigError(
                f"the plugin {name!r} is no detector of that name: {plugin!r}"[:300],
                where="residency.detectors",
                next_step="register a residency.diagnose.detectors.base.Detector",
            )
    return DETECTORS | plugins
