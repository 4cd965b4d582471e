"""Hashes are stored: their values are fixed here, worked out by hand from SHA-256 alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from residency.files.content_hash import hash_file, hash_file_hex, hash_folder, hash_named_files


def sha(data: bytes) -> hashlib._Hash:
    return hashlib.sha256(data)


def test_hash_values_never_change(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_bytes(b"2")
    (tmp_path / "a.txt").write_bytes(b"1")
    hex_of_one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert hash_file_hex(tmp_path / "a.txt") == hex_of_one
    assert hash_file(tmp_path / "a.txt") == f"sha256:{hex_of_one}"
    body = b"a.txt\0" + sha(b"1").digest() + b"b/two.txt\0" + sha(b"2").digest()
    assert hash_folder(tmp_path) == "sha256:" + sha(body).hexdigest()
    named = hash_named_files([tmp_path / "a.txt", tmp_path / "b" / "two.txt"])
    assert named == "sha256:" + sha(b"a.txt1two.txt2").hexdigest()
