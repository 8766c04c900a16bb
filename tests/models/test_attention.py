"""Attention as training runs it, against transformers' own."""

import copy

import pytest
import torch
from transformers import BertConfig, BertModel

from bertkit.models.attention import attend, install_attention
from bertkit.models.dropout import keep_mask


@pytest.fixture
def model() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(num_hidden_layers=2, hidden_size=32, num_attention_heads=4, intermediate_size=64, vocab_size=50)
    config.hidden_dropout_prob = 0.0
    return BertModel(config)


def inputs(padded: bool) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 50, (3, 16), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    if padded:
        mask[0, 9:] = 0
        mask[2, 3:] = 0
    return {"input_ids": ids} | ({"attention_mask": mask} if padded else {})


@pytest.mark.parametrize("padded", [False, True])
def test_without_dropout_it_is_transformers_own(model: BertModel, padded: bool) -> None:
    ours = copy.deepcopy(model)
    install_attention(ours)
    batch = inputs(padded)
    for one in (model, ours):
        one.eval()
    assert torch.equal(ours(**batch).last_hidden_state, model(**batch).last_hidden_state)


@pytest.mark.parametrize("padded", [False, True])
def test_with_dropout_it_is_softmax_mask_and_product(padded: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    query, key, value = (torch.randn(3, 4, 16, 8, generator=generator, requires_grad=True) for _ in range(3))
    seen = inputs(padded).get("attention_mask")
    mask = None if seen is None else seen.bool()[:, None, None, :].expand(3, 1, 16, 16)
    torch.manual_seed(3)
    mixed, _ = attend(torch.nn.Module(), query, key, value, mask, dropout=0.25, scaling=8**-0.5)

    torch.manual_seed(3)
    scores = query.double() @ key.double().transpose(-1, -2) / 8**0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    kept = keep_mask(scores.shape, 0.25, torch.float64)
    expected = ((scores.softmax(-1) * kept) @ value.double()).transpose(1, 2)
    torch.testing.assert_close(mixed.double(), expected, rtol=1e-5, atol=1e-6)
    mixed.sum().backward()
    if padded:
        assert not value.grad[0, :, 9:].any()  # padding gives nothing


def test_the_saved_folder_does_not_mention_it(model: BertModel, tmp_path: object) -> None:
    install_attention(model)
    model.save_pretrained(str(tmp_path))
    assert BertModel.from_pretrained(str(tmp_path)).config._attn_implementation == "sdpa"
