"""Libraries that reach out by themselves are told not to, unless the user said otherwise.

They tell their makers of their use, or fetch compiled code from a hub.
"""

from __future__ import annotations

import os

SILENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "WANDB_ERROR_REPORTING": "false",
    "DO_NOT_TRACK": "1",
    "USE_HUB_KERNELS": "NO",
}
"""Variables by which each is silenced; they are read when it is imported, by child processes too."""


def silence_telemetry() -> None:
    """Set what the environment does not."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
