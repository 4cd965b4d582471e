"""What is kept: one SQLite file (or a PostgreSQL) and artifacts named by content."""

from residency.store.artifacts import Artifacts, folder_hash
from residency.store.lock import WriterLock
from residency.store.store import FOLDER, Store, sampling_id

__all__ = ["FOLDER", "Artifacts", "Store", "WriterLock", "folder_hash", "sampling_id"]
