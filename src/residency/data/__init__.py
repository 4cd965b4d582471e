"""Sources → checks → deduplication → splits → token rows → dataset versions."""

from residency.data.corpus import Corpus, Removed, clean, load_corpus
from residency.data.ledger import Ledger
from residency.data.read import FileRead, ReadResult, Reject, read, write_rejects
from residency.data.tokens import EncodedRows, encode_rows
from residency.data.versions import VersionDiff, diff, make_version, read_version, write_version

__all__ = [
    "Corpus",
    "EncodedRows",
    "FileRead",
    "Ledger",
    "ReadResult",
    "Reject",
    "Removed",
    "VersionDiff",
    "clean",
    "diff",
    "encode_rows",
    "load_corpus",
    "make_version",
    "read",
    "read_version",
    "write_rejects",
    "write_version",
]
