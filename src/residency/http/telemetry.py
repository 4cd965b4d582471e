"""Libraries that tell their makers of their use are told not to, unless the user said otherwise."""

from __future__ import annotations

import os

SILENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "WANDB_ERROR_REPORTING": "false",
    "DO_NOT_TRACK": "1",
}
"""Variables by which each is silenced; they are read when it is imported, by child processes too."""


def silence_telemetry() -> None:
    """Set what the environment does not."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
