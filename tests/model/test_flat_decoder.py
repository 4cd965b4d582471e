"""Flat tokens, shared beginnings, split layers and the chunked loss: equal to plain transformers."""

from __future__ import annotations

import pytest
import torch

from residency.model import head
from residency.model.decoder import Decoder
from residency.model.kernels import apply_linear, use_fast_products
from residency.model.size_rounding import round_up_size
from residency.train.flat_batch import flatten_rows
from tiny_archs import ARCHITECTURES, VOCABULARY, plain_nll, rows, tiny


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def flat_nll(decoder: Decoder, share: bool) -> list[torch.Tensor]:
    batch = flatten_rows(rows(), share=share)
    hidden = decoder.hidden_states(batch.ids, batch.positions, batch.layout)
    nll = decoder.token_losses(hidden[batch.predict], batch.labels)
    return [nll[batch.owner == number] for number in range(len(rows()))]


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_pain_13_packing_gives_the_loss_of_each_example_alone(name: str) -> None:
    model = tiny(name)
    decoder = Decoder(model)
    assert decoder.flat, decoder.reason
    want = [plain_nll(model, row) for row in rows()]
    for share in (False, True):
        for got, expected in zip(flat_nll(decoder, share), want, strict=True):
            assert torch.allclose(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_pain_13_no_example_sees_its_neighbours(name: str) -> None:
    decoder = Decoder(tiny(name))
    batch = flatten_rows(rows(), share=False)
    before = decoder.hidden_states(batch.ids, batch.positions, batch.layout)
    first = len(rows()[0].ids)
    ids = batch.ids.clone()
    ids[:first] = (ids[:first] + 7) % VOCABULARY
    after = decoder.hidden_states(ids, batch.positions, batch.layout)
    assert torch.equal(before[first:], after[first:])
    assert not torch.allclose(before[:first], after[:first])


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("short", [False, True])
def test_gradients_equal_plain_transformers(name: str, short: bool) -> None:
    """With the last layer whole, and with it at the predicting positions only."""
    model = tiny(name)
    sum(row.weight * plain_nll(model, row).sum() for row in rows()).backward()  # type: ignore[union-attr]
    want = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    use_fast_products(model)
    decoder = Decoder(model)
    batch = flatten_rows(rows())
    # GPT-2's body gives its states the shape of its ids, so its last layer is run whole.
    assert (decoder.last is None) == (name == "gpt2")
    if not short:
        decoder.last = None
    hidden = decoder.hidden_states(batch.ids, batch.positions, batch.layout, batch.predict)
    assert hidden.shape[0] == len(batch.predict)
    decoder.weighted_loss(hidden, batch.labels, batch.weights)[0].backward()  # type: ignore[no-untyped-call]
    got = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert got.keys() == want.keys()
    for key in want:
        assert torch.allclose(got[key], want[key], atol=1e-5 * float(want[key].abs().max()) + 1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("layer", [1, 2])
@torch.no_grad()
def test_a_decoder_split_at_a_layer_gives_the_same_states(name: str, layer: int) -> None:
    decoder = Decoder(tiny(name))
    batch = flatten_rows(rows())
    whole = decoder.hidden_states(batch.ids, batch.positions, batch.layout)
    states = decoder.states_below(batch.ids, batch.positions, batch.layout, layer)
    split = decoder.states_above(states, batch.ids, batch.positions, batch.layout, layer)
    assert torch.equal(whole, split)
    assert torch.equal(whole, decoder.hidden_states(batch.ids, batch.positions, batch.layout))


@torch.no_grad()
def test_the_last_layer_runs_its_mlp_at_the_predicting_positions_only() -> None:
    decoder = Decoder(tiny("llama"))
    batch = flatten_rows(rows())
    seen = []
    handle = decoder.stack.layers[-1].mlp.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].shape[1])
    )
    want = decoder.hidden_states(batch.ids, batch.positions, batch.layout)[batch.predict]
    got = decoder.hidden_states(batch.ids, batch.positions, batch.layout, batch.predict)
    handle.remove()
    assert seen == [round_up_size(len(batch.ids)), round_up_size(len(batch.predict))]
    assert seen[1] < seen[0]
    assert torch.allclose(got, want, atol=1e-5)


def test_a_size_is_rounded_up_by_little_to_one_of_few() -> None:
    sizes = range(1, 5000)
    assert all(n <= round_up_size(n) <= n + max(7, n // 16) for n in sizes)
    assert all(round_up_size(round_up_size(n)) == round_up_size(n) for n in sizes)
    assert len({round_up_size(n) for n in range(1024, 2048)}) == 17
    assert round_up_size(0) == 0


@pytest.mark.parametrize("alike", [2, 12])
def test_the_filler_changes_no_loss_and_no_gradient(
    alike: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = flatten_rows(rows(9, alike=alike))
    assert round_up_size(len(batch.ids)) > len(batch.ids)
    assert round_up_size(len(batch.labels)) > len(batch.labels)
    assert (batch.layout.expand is not None) == (alike == 12)

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model = tiny("llama")
        decoder = Decoder(model)
        states = decoder.hidden_states(batch.ids, batch.positions, batch.layout, batch.predict)
        total, nll = decoder.weighted_loss(states, batch.labels, batch.weights)
        total.backward()
        return nll, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    nll, grads = run()
    monkeypatch.setattr("residency.model.size_rounding.round_up_size", lambda size: size)
    plain_nll_, plain_grads = run()
    assert len(nll) == len(batch.labels)
    assert torch.allclose(nll, plain_nll_, atol=1e-5)
    assert set(grads) == set(plain_grads)
    for name, grad in grads.items():
        assert torch.allclose(grad, plain_grads[name], atol=1e-4, rtol=1e-5), name


def test_batches_of_many_sizes_share_few_shapes() -> None:
    decoder = Decoder(tiny("llama"))
    seen = set()
    linear = decoder.stack.layers[0].mlp.up_proj
    linear.register_forward_pre_hook(lambda module, args: seen.add(args[0].shape))
    sizes = set()
    for count in range(1, 40):
        batch = flatten_rows(rows(count, seed=count))
        sizes.add(len(batch.ids))
        with torch.no_grad():
            decoder.hidden_states(batch.ids, batch.positions, batch.layout, batch.predict)
    assert len(sizes) > 30 and len(seen) < len(sizes) * 0.8


@torch.no_grad()
def test_a_last_layer_that_mixes_tokens_after_attention_is_run_whole() -> None:
    model = tiny("llama")
    mlp = model.model.layers[-1].mlp
    plain = mlp.forward
    mlp.forward = lambda states: plain(states) + states.mean(1, keepdim=True)
    decoder = Decoder(model, flat=False)
    decoder.flat = True
    assert decoder._prove_last() is None and decoder.last is None


def test_an_architecture_that_cannot_be_flat_is_padded_and_says_why() -> None:
    from transformers import BloomConfig, BloomForCausalLM

    torch.manual_seed(0)
    config = BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4)
    model = BloomForCausalLM(config).eval()
    decoder = Decoder(model)
    assert not decoder.flat and "flat tokens" in decoder.reason
    with torch.no_grad():
        for got, row in zip(flat_nll(decoder, True), rows(), strict=True):
            assert torch.allclose(got, plain_nll(model, row), atol=1e-4)


def test_a_head_that_does_more_than_one_product_uses_the_models_own_code() -> None:
    from transformers import CohereConfig, CohereForCausalLM

    torch.manual_seed(0)
    common = {k: v for k, v in ARCHITECTURES["llama"][1].items() if k != "tie_word_embeddings"}
    model = CohereForCausalLM(CohereConfig(**common, logit_scale=0.3)).eval()
    decoder = Decoder(model)
    assert not decoder.head_matches
    with torch.no_grad():
        for got, row in zip(flat_nll(decoder, True), rows(), strict=True):
            assert torch.allclose(got, plain_nll(model, row), atol=1e-5)


def test_pain_16_the_chunked_loss_equals_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    h = torch.randn(70, 24, dtype=torch.float32, requires_grad=True)
    weight = torch.randn(131, 24, requires_grad=True)
    bias = torch.randn(131, requires_grad=True)
    labels, weights = torch.randint(0, 131, (70,)), torch.rand(70)
    plain = torch.nn.functional.cross_entropy(h @ weight.T + bias, labels, reduction="none")
    want = torch.autograd.grad((plain * weights).sum(), [h, weight, bias])
    monkeypatch.setattr(head, "CHUNK_BYTES", 131 * 4 * 20)
    total, nll = head.weighted_nll(h, weight, bias, labels, weights)
    got = torch.autograd.grad(total, [h, weight, bias])
    assert torch.allclose(nll, plain, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got, want, strict=True))
    each = head.token_nll(h, weight.detach(), bias.detach(), labels)
    (grad_h,) = torch.autograd.grad((each * weights).sum(), [h])
    assert torch.allclose(grad_h, want[0], atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 24), (1, 7, 24), (2, 3, 24)])
def test_the_linear_kernel_equals_pytorch(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    weight, bias = torch.randn(48, 24, requires_grad=True), torch.randn(48, requires_grad=True)
    ours, theirs = apply_linear(x, weight, bias), torch.nn.functional.linear(x, weight, bias)
    grad = torch.randn_like(theirs)
    assert torch.allclose(ours, theirs, atol=1e-5)
    left = torch.autograd.grad(ours, [x, weight, bias], grad)
    right = torch.autograd.grad(theirs, [x, weight, bias], grad)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(left, right, strict=True))
