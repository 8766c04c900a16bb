"""The arithmetic that the formula counts is what torch counts as it runs."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification

from bertkit.models.flops import flops_of, training_flops
from bertkit.models.last_layer import install_picking

SIZES = {
    "num_hidden_layers": 3,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 70,
    "attn_implementation": "eager",
}


@pytest.mark.parametrize("kind", [BertForPreTraining, BertForSequenceClassification])
def test_the_formula_is_what_torch_counts(kind: type) -> None:
    config = BertConfig(**SIZES)
    model = kind(config)
    rows, width = 5, 16
    ids = torch.randint(0, 70, (rows, width))
    with FlopCounterMode(display=False) as counter:
        output = model(input_ids=ids)
        sum(part.sum() for part in output.to_tuple() if part.requires_grad).backward()
    # transformers predicts a word at every position.
    arrays = {"input_ids": ids.numpy()}
    if kind is BertForPreTraining:
        arrays["masked_labels"] = np.zeros(rows * width)
    counted = counter.get_total_flops()
    assert training_flops(config, arrays) == pytest.approx(counted, rel=1e-3)


def test_only_masked_positions_cost_a_prediction() -> None:
    config = BertConfig(**SIZES)
    ids = np.zeros((4, 8))
    few, many = (training_flops(config, {"input_ids": ids, "masked_labels": np.zeros(n)}) for n in (1, 11))
    assert many - few == 6 * 10 * (32 * 32 + 32 * 70)


@pytest.mark.parametrize("objective", ["pretraining", "classification"])
def test_a_last_layer_that_is_read_in_places_is_counted_there(objective: str) -> None:
    config = BertConfig(**SIZES)
    rows, width = 5, 16
    ids, picked = torch.randint(0, 70, (rows, width)), torch.tensor([[0, 3, 9]] * rows)
    model = (BertForPreTraining if objective == "pretraining" else BertForSequenceClassification)(config)
    arrays = {"input_ids": ids.numpy()}
    install_picking(model)
    with FlopCounterMode(display=False) as counter:
        if objective == "pretraining":
            arrays |= {"picked": picked.numpy(), "masked_labels": np.zeros(rows * 3)}
            output = model(input_ids=ids, picked=picked)
            (output.prediction_logits.sum() + output.seq_relationship_logits.sum()).backward()
        else:
            model(input_ids=ids, picked=picked[:, :1]).logits.sum().backward()
    assert flops_of(model)(arrays) == pytest.approx(counter.get_total_flops(), rel=2e-2)
