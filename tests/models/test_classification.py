"""Classifiers of every kind of label give transformers' losses, and read texts in windows as stated."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification

from bertkit.models import bert
from bertkit.models.classification import ClassificationLoss, load_classifier, new_classifier

SIZES = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
NEW = {"init": "pretrained", "dropout": 0.0, "seed": 3}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    sizes = SIZES | {"max_position_embeddings": 16, "initializer_range": 0.3}
    bert.save(bert.new_pretraining_model(sizes, vocab_size=30, pad_token_id=0, seed=1), folder)
    return folder


def batch(rows: int, *, seed: int = 0) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 30, (rows, 8), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(ids)
    mask[0, 5:] = 0
    return {"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "attention_mask": mask}


@pytest.mark.parametrize(
    ("problem", "labels", "targets"),
    [
        ("single_label_classification", ["a", "b", "c"], torch.tensor([0, 2, 1])),
        ("multi_label_classification", ["a", "b"], torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])),
        ("regression", [], torch.tensor([0.5, 4.0, -2.0])),
    ],
)
def test_the_mean_loss_is_that_of_transformers(start, tmp_path, problem, labels, targets):
    ours = ClassificationLoss(new_classifier(start, labels, problem=problem, **NEW)).eval()
    inputs = batch(3)
    sums = ours(inputs | {"labels": targets})
    bert.save(ours.model, tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert theirs.config.problem_type == problem
    output = theirs(**inputs, labels=targets)
    torch.testing.assert_close(sums["loss"] / sums["count"], output.loss, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.outputs(inputs)["logits"], output.logits, atol=1e-6, rtol=1e-5)
    if problem == "regression":
        torch.testing.assert_close(sums["squared_error"], sums["loss"])
    elif problem == "multi_label_classification":
        assert sums["correct"] == ((output.logits.sigmoid() > 0.5) == targets.bool()).all(1).sum()


def windowed(start: Path, pooling: str) -> ClassificationLoss:
    return ClassificationLoss(new_classifier(start, ["a", "b"], window_pooling=pooling, **NEW)).eval()


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_windows_are_pooled_within_their_text(start, pooling):
    objective = windowed(start, pooling)
    if pooling == "attention":
        torch.nn.init.normal_(objective.model.window_score.weight)
    inputs, text = batch(5), torch.tensor([0, 0, 0, 1, 2])
    found = objective.outputs(inputs | {"text_windows": text == torch.arange(3)[:, None]})["logits"]
    vectors = objective.model.bert(**inputs).pooler_output
    for i in range(3):
        own = vectors[text == i]
        if pooling == "mean":
            pooled = own.mean(0)
        elif pooling == "max":
            pooled = own.max(0).values
        else:
            scores = own @ objective.model.window_score.weight[0]
            pooled = (scores.exp() / scores.exp().sum()) @ own
        torch.testing.assert_close(found[i], objective.model.classifier(pooled), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_texts_of_one_window_are_read_as_without_windows_and_the_folder_loads_anywhere(start, tmp_path, pooling):
    objective = windowed(start, pooling)
    inputs = batch(4)
    whole = {"text_windows": torch.eye(4, dtype=torch.bool)}
    bert.save(objective.model, tmp_path)
    plain = BertForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(
        objective.outputs(inputs | whole)["logits"], plain(**inputs).logits, atol=1e-5, rtol=1e-5
    )
    again = ClassificationLoss(load_classifier(tmp_path)).eval()
    assert type(again.model) is type(objective.model)
    for name, value in objective.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)


def test_attention_over_windows_begins_as_their_mean_and_learns(start):
    mean, attention = windowed(start, "mean"), windowed(start, "attention")
    own = torch.tensor([[True, True, False, False], [False, False, True, True]])
    inputs = batch(4) | {"text_windows": own, "labels": torch.tensor([0, 1])}
    torch.testing.assert_close(attention.outputs(inputs)["logits"], mean.outputs(inputs)["logits"])
    attention(inputs)["loss"].backward()
    assert attention.model.window_score.weight.grad.abs().sum() > 0
