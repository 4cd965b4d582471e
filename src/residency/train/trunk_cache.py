"""The frozen trunk: what leaves the frozen lower layers, computed once a row and stored.

Adapters on the top layers cannot change it, so every later epoch, arm and round reads it
from disk (memory-mapped) instead of running those layers. An entry's key is the SHA-256 of
the row's token ids, the base's identity, the layer and the number format: another template,
tokenizer or base gives other keys, so a stale entry is never hit. The first entry used
is computed again and compared, in case the base changed under its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from residency.errors import ModelError
from residency.files.atomic_write import open_draft
from residency.files.write_errors import raise_os_errors
from residency.interfaces import TokenRow
from residency.model.decoder import Decoder
from residency.train.flat_batch import flatten_rows

FORMAT = "trunk-1"
GROUP_TOKENS = 4096
"""Tokens computed and written together."""


class TrunkCache:
    """States [length, d] that enter ``layer``, one entry a row.

    Args:
        folder: where the shards lie (``*.safetensors``). identity: of the base's weights.
        decoder: computes what is missing. layer: first layer that trains.
    """

    def __init__(self, folder: Path, decoder: Decoder, layer: int, identity: str) -> None:
        self.decoder, self.layer = decoder, layer
        dtype = str(next(decoder.model.parameters()).dtype)
        self._salt = f"{FORMAT}\n{identity}\n{layer}\n{dtype}\n".encode()
        self.folder = folder / hashlib.sha256(self._salt).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._entries: dict[str, Tensor] = {}
        self.reused = self.computed = 0
        self.read()

    def key(self, ids: Sequence[int]) -> str:
        """Name of a row's entry."""
        return hashlib.sha256(self._salt + np.asarray(ids, np.int64).tobytes()).hexdigest()[:32]

    def has(self, ids: Sequence[int]) -> bool:
        """Whether a row's states are stored."""
        return self.key(ids) in self._entries

    @property
    def token_bytes(self) -> int:
        """Bytes stored for each token; 0 as long as nothing is."""
        entry = next(iter(self._entries.values()), None)
        return 0 if entry is None else entry[0].numel() * entry.element_size()

    def read(self) -> None:
        """Map every entry that is on disk."""
        for shard in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(shard, framework="pt") as mapped:
                    entries = {key: mapped.get_tensor(key) for key in mapped.keys()}  # noqa: SIM118
                    if (mapped.metadata() or {}).get("sum") != sum_entries(entries):
                        raise SafetensorError("not what was written")
                for key, states in entries.items():
                    self._entries.setdefault(key, states)
            except (SafetensorError, OSError):
                shard.unlink(missing_ok=True)  # damaged: it is computed again

    def fill(
        self, rows: Sequence[Sequence[int]], progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Compute the rows that are not there, in their order, and write them group by group.

        A group is written whole or not at all, and the next run's groups begin where this
        one's ended: an interrupted fill goes on with the same groups, hence the same bits.

        Raises:
            ModelError: entries of this identity exist, but this base does not give them.
        """
        missing: dict[str, Sequence[int]] = {}
        present = None
        for ids in rows:
            key = self.key(ids)
            if key not in self._entries:
                missing.setdefault(key, ids)
            elif present is None or len(ids) < len(present):
                present = ids
        if present is not None:
            self._verify(present)
        self.reused, self.computed = len(rows) - len(missing), 0
        for group in _group_rows(missing, self.decoder.length_class):
            states = self._compute([missing[key] for key in group])
            self._write(dict(zip(group, states, strict=True)))
            self.computed += len(group)
            if progress is not None:
                progress(self.computed, len(missing))

    def states(self, rows: Sequence[TokenRow], shared: Sequence[int]) -> Tensor:
        """[T, d] states of a flat batch of these rows, ``shared`` as in ``FlatBatch``."""
        parts = [self._entries[self.key(r.ids)][n:] for r, n in zip(rows, shared, strict=True)]
        return torch.cat(parts).to(self.decoder.device)

    def _compute(self, rows: Sequence[Sequence[int]]) -> list[Tensor]:
        batch = flatten_rows([TokenRow("", tuple(ids), (False,) * len(ids)) for ids in rows])
        batch = batch.to(self.decoder.device)
        states = self.decoder.states_below(
            batch.ids, batch.positions, batch.layout, self.layer
        ).cpu()
        if batch.layout.expand is not None:
            states = states[batch.layout.expand.cpu()]
        return [
            states_of_row.contiguous()
            for states_of_row in torch.split(states, list(batch.layout.lengths))
        ]

    def _verify(self, ids: Sequence[int]) -> None:
        stored = self._entries[self.key(ids)]
        again = self._compute([ids])[0]
        scale = float(again.abs().max()) or 1.0
        if float((stored - again).abs().max()) > 1e-3 * scale:
            raise ModelError(
                "the cached states of the frozen layers were made by other weights",
                where=str(self.folder),
                next_step="delete this folder; it is computed again",
            )

    def _write(self, entries: dict[str, Tensor]) -> None:
        first = next(iter(entries))
        final = self.folder / f"{first}.safetensors"
        # A cache: what a power cut takes is computed again.
        with open_draft(final, durable=False) as draft, raise_os_errors(final):
            save_file(entries, draft, metadata={"sum": sum_entries(entries)})
        with safe_open(final, framework="pt") as mapped:
            for key in mapped.keys():  # noqa: SIM118 (not a dict)
                self._entries[key] = mapped.get_tensor(key)


def sum_entries(entries: Mapping[str, Tensor]) -> str:
    """SHA-256 of states by name: reading them costs what training on them costs anyway."""
    digest = hashlib.sha256()
    for key in sorted(entries):
        digest.update(key.encode())
        digest.update(entries[key].contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _group_rows(
    missing: dict[str, Sequence[int]], length_class: Callable[[int], int]
) -> Iterator[list[str]]:
    """Keys of rows that are computed together: of one length class, GROUP_TOKENS tokens."""
    classes: dict[int, list[str]] = {}
    for key, ids in missing.items():
        classes.setdefault(length_class(len(ids)), []).append(key)
    for keys in classes.values():
        group: list[str] = []
        size = 0
        for key in keys:
            if group and size + len(missing[key]) > GROUP_TOKENS:
                yield group
                group, size = [], 0
            group.append(key)
            size += len(missing[key])
        if group:
            yield group
