"""A last layer that is computed where it is read alone gives what the whole one gives there, and the same gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertkit.models import bert
from bertkit.models.classification import ClassificationLoss
from bertkit.models.last_layer import PickedLayer

SIZES: dict[str, Any] = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


def classifier() -> BertForSequenceClassification:
    torch.manual_seed(0)
    return BertForSequenceClassification(BertConfig(**SIZES, vocab_size=50, num_labels=3, initializer_range=0.3)).eval()


def batch(padded: bool) -> dict[str, torch.Tensor]:
    ids = torch.randint(1, 50, (4, 12), generator=torch.Generator().manual_seed(1))
    made = {"input_ids": ids, "token_type_ids": (torch.arange(12) > 6).long().expand(4, -1)}
    if padded:
        made["attention_mask"] = (torch.arange(12) < torch.tensor([12, 9, 5, 2])[:, None]).long()
    return made


@pytest.mark.parametrize("padded", [False, True])
def test_a_classifier_gives_what_transformers_gives(padded: bool) -> None:
    ours, theirs, inputs = classifier(), classifier(), batch(padded)
    logits = ClassificationLoss(ours).outputs(inputs)["logits"]
    reference = theirs(**inputs).logits
    torch.testing.assert_close(logits, reference, rtol=0, atol=1e-5)
    logits.square().sum().backward()
    reference.square().sum().backward()
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_picked_places_have_the_states_that_they_have_among_all() -> None:
    model = bert.quickened(classifier())
    inputs, picked = batch(padded=True), torch.tensor([[0, 11, 3], [0, 8, 0], [0, 1, 2], [0, 0, 0]])
    whole = model.bert(**inputs).last_hidden_state
    some = model.bert(**inputs, picked=picked).last_hidden_state
    torch.testing.assert_close(some, whole.gather(1, picked[..., None].expand(-1, -1, 32)), rtol=0, atol=1e-5)


def test_only_the_last_layer_is_another_and_weights_keep_their_names(tmp_path: Path) -> None:
    plain, model = classifier(), bert.quickened(classifier())
    assert [type(layer) is PickedLayer for layer in model.bert.encoder.layer] == [False, True]
    assert list(model.state_dict()) == list(plain.state_dict())
    bert.save(model, tmp_path)
    again = BertForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(**batch(True)).logits, plain(**batch(True)).logits)


def test_recomputed_activations_give_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        loss = ClassificationLoss(classifier())
        if recompute:
            bert.recompute_activations(loss.model)
        loss.train()
        torch.manual_seed(3)
        loss.outputs(batch(True))["logits"].square().sum().backward()
        gradients.append([p.grad for p in loss.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert a is not None
        assert torch.equal(a, b)
