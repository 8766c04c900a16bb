"""Attention weights against transformers' own, and from folders of every kind."""

import copy

import pytest
import torch
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification, BertModel

from bertkit.errors import StageError
from bertkit.models.attention_weights import attention_weights, load_for_weights, telling


def small() -> BertConfig:
    torch.manual_seed(0)
    return BertConfig(num_hidden_layers=3, hidden_size=32, num_attention_heads=4, intermediate_size=64, vocab_size=50)


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 50, (3, 16), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 9:] = 0
    return {"input_ids": ids, "token_type_ids": (torch.arange(16) > 7).long().expand(3, 16), "attention_mask": mask}


def test_weights_are_transformers_own() -> None:
    theirs = BertModel(small(), add_pooling_layer=True)
    theirs.set_attn_implementation("eager")
    theirs.eval()
    ours = telling(copy.deepcopy(theirs))
    found = attention_weights(ours, batch())
    with torch.no_grad():
        wanted = theirs(**batch(), output_attentions=True).attentions
    assert len(found) == 3
    for mine, yours in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, yours, atol=1e-6, rtol=0)
    assert found[0].shape == (3, 4, 16, 16)
    torch.testing.assert_close(found[0].sum(-1), torch.ones(3, 4, 16))
    assert found[0][0, :, :, 9:].abs().max() == 0  # nothing is taken from padding


@pytest.mark.parametrize("kind", [BertForPreTraining, BertForSequenceClassification])
def test_a_folder_with_any_head_will_do(kind, tmp_path) -> None:
    whole = kind(small())
    whole.save_pretrained(tmp_path)
    found = attention_weights(load_for_weights(tmp_path), batch())
    wanted = attention_weights(telling(whole.bert), batch())
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_another_model_is_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(StageError, match="gpt2"):
        load_for_weights(tmp_path)
