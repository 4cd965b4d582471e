"""Commands under ``torchrun``: rank 0 does the work, the other ranks join its trainings."""

from __future__ import annotations

from residency.train.follow_ranks import dismiss_followers, follow_trainings

__all__ = ["dismiss_followers", "follow_trainings"]
