"""Products of the fused path: a single row gives what it gives in a batch, by every way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from residency.infer import matrix_products
from residency.infer.matrix_products import PackedLinear, PlainRoom, round_rows
from residency.model.product_choice import (
    SingleRowWay,
    multiply_split,
    onednn_available,
    split_weight,
)

pytestmark = pytest.mark.skipif(not onednn_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> PlainRoom:
    """Room for one weight of 48 x 32 numbers, and not for two."""
    own = PlainRoom(48 * 32 * 4 + 100)
    monkeypatch.setattr(matrix_products, "_room", own)
    return own


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("way", ["plain", "split"])
@torch.inference_mode()
def test_rows_that_come_singly_go_to_the_plain_weight_and_give_the_same(
    way: SingleRowWay, room: PlainRoom
) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 32, generator=generator)
    bias = torch.randn(48, generator=generator)
    rows = torch.randn(60, 32, generator=generator)
    product = PackedLinear(weight, bias, single_rows=way)
    expected = rows.double() @ weight.double().T + bias.double()
    for row, right in zip(rows, expected, strict=True):
        torch.testing.assert_close(product(row[None])[0].double(), right, rtol=1e-5, atol=1e-5)
    assert product.plain is not None and torch.equal(product.plain, weight)
    assert (product.parts is not None) is (way == "split")
    torch.testing.assert_close(product(rows).double(), expected, rtol=1e-5, atol=1e-5)
    assert room.left == 100
    del product
    assert room.left == 48 * 32 * 4 + 100  # what a model took is free when it is gone


@pytest.mark.usefixtures("two_threads")
@torch.inference_mode()
def test_few_rows_go_to_the_parts_and_more_to_the_packed_weight(
    room: PlainRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 32, generator=generator)
    bias = torch.randn(48, generator=generator)
    product = PackedLinear(weight, bias, single_rows="split", few_rows=3)
    sizes: list[int] = []

    def note(x: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return multiply_split(x, parts)

    monkeypatch.setattr(matrix_products, "multiply_split", note)
    for count in [2] * 20 + [1, 2, 3, 4, 5]:
        rows = torch.randn(count, 32, generator=generator)
        expected = rows.double() @ weight.double().T + bias.double()
        torch.testing.assert_close(product(rows).double(), expected, rtol=1e-5, atol=1e-5)
    assert sizes[-3:] == [1, 2, 3]
    assert room.left == 100


@torch.inference_mode()
def test_a_weight_without_room_and_one_for_batches_stay_packed(room: PlainRoom) -> None:
    weight = torch.ones(64, 32)
    without_room = PackedLinear(weight, None, single_rows="plain")
    for_batches = PackedLinear(weight[:8], None, single_rows="plain")
    for _ in range(40):
        assert bool((without_room(torch.ones(1, 32)) == 32).all())
        assert bool((for_batches(torch.ones(2, 32)) == 32).all())
    assert without_room.plain is None and for_batches.plain is None
    assert room.left == 48 * 32 * 4 + 100


def test_a_weight_is_split_evenly_or_not_at_all() -> None:
    weight = torch.arange(24.0).view(6, 4)
    parts = split_weight(weight, 3)
    assert parts is not None and torch.equal(parts.flatten(0, 1), weight)
    assert split_weight(weight, 4) is None and split_weight(weight, 1) is None


def test_few_numbers_of_rows_are_multiplied_and_few_rows_more_than_there_are() -> None:
    rounded = {rows: round_rows(rows) for rows in range(1, 4097)}
    assert all(rows <= more <= rows * 9 / 8 for rows, more in rounded.items())
    assert all(rounded[rows] == rows for rows in range(1, 33))
    assert all(round_rows(more) == more for more in rounded.values())
    assert len(set(rounded.values())) <= 32 + 8 * 7


@torch.inference_mode()
def test_rows_that_fill_up_a_product_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(48, 32, generator=generator), torch.randn(48, generator=generator)
    product = PackedLinear(weight, bias)
    for count in (33, 37, 100, 129):
        rows = torch.randn(count, 32, generator=generator)
        expected = rows.double() @ weight.double().T + bias.double()
        torch.testing.assert_close(product(rows).double(), expected, rtol=1e-5, atol=1e-5)
