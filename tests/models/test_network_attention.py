"""The weights of baseline networks: those that they compute with, one row a token or a vector."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bertkit.errors import StageError
from bertkit.models.network import Classifier, Network
from bertkit.models.network_attention import has_attention, load_attentive, network_weights
from bertkit.models.token_networks import SpanFinder, Tagger

RNN = {"cell": "gru", "hidden_size": 6, "num_layers": 1, "bidirectional": True, "layer_norm": False, "dropout": 0.1}
CNN = {"filter_widths": [2, 3], "num_filters": 4, "k": 1, "norm": "batch", "activation": "relu"}
TRANSFORMER = {
    "hidden_size": 8,
    "num_layers": 2,
    "num_heads": 4,
    "intermediate_size": 16,
    "positions": "sinusoidal",
    "norm": "pre",
    "dropout": 0.1,
    "max_length": 20,
    "pooling": "mean",
}
OPTIONS: dict[str, dict[str, Any]] = {"rnn": RNN, "textcnn": CNN, "transformer": TRANSFORMER}


def facts(backbone: str, *, pooling: str = "attention", pairs: bool | None = False, **more: Any) -> dict[str, Any]:
    """Of a classifier; `pairs` None is for other networks."""
    head = {} if pairs is None else {"num_labels": 3, "problem_type": "single_label_classification", "pairs": pairs}
    return {
        "backbone": backbone,
        "options": OPTIONS[backbone] | {"pooling": pooling},
        "vocab_size": 20,
        "pad_token_id": 0,
        "embedding_dim": 5,
        "channels": "non_static",
        "embedding_dropout": 0.1,
        "dropout": 0.1,
        **head,
        **more,
    }


def network(cls: type[Network], told: dict[str, Any]) -> Network:
    torch.manual_seed(0)
    return cls(told).eval()


def row(first: int, second: int = 0) -> dict[str, Tensor]:
    """One text of `first` tokens, and a second one of `second`."""
    ids = torch.randint(5, 20, (1, first + second), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "token_type_ids": (torch.arange(first + second) >= first).long()[None]}


@pytest.mark.parametrize("backbone", ["rnn", "textcnn", "transformer"])
def test_the_vector_that_is_pooled_is_the_weighted_mean(backbone: str) -> None:
    model: Any = network(Classifier, facts(backbone))
    found = network_weights(model, row(7)).shares["text"]
    assert found.shape == (7,)
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))
    embedded, real = model.backbone.embed(row(7))
    states = model.backbone.encoder(embedded, real)
    torch.testing.assert_close(model.classifier(found.clone() @ states[0]), model(row(7))[0])


def test_each_text_of_a_pair_has_weights_of_its_own() -> None:
    model: Any = network(Classifier, facts("transformer", pairs=True))
    found = network_weights(model, row(4, 3))
    alone = network_weights(network(Classifier, facts("transformer")), {k: v[:, :4] for k, v in row(4, 3).items()})
    torch.testing.assert_close(found.shares["text"][:4], alone.shares["text"])
    torch.testing.assert_close(found.shares["text"][4:].sum(), torch.tensor(1.0))
    assert found.layers.shape == (2, 4, 7, 7)
    torch.testing.assert_close(found.layers[..., :4, :4], alone.layers)
    torch.testing.assert_close(found.layers.sum(-1), torch.ones(2, 4, 7))
    assert found.layers[..., :4, 4:].abs().max() == found.layers[..., 4:, :4].abs().max() == 0


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("cls", [Classifier, Tagger, SpanFinder])
def test_a_transformers_weights_are_those_that_torch_attends_with(
    cls: type[Network], norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"labels": ["O"], "tagging_head": "softmax", "tagging_constrained": True} if cls is Tagger else {}
    told = facts("transformer", pooling="mean", pairs=False if cls is Classifier else None, **own)
    told["options"] = told["options"] | {"norm": norm}
    model = network(cls, told)
    attended: list[Tensor] = []
    torchs_own = functional.scaled_dot_product_attention

    def telling(query: Tensor, key: Tensor, value: Tensor, **rest: Any) -> Tensor:
        # What attention gives of the unit vectors is its weights.
        attended.append(torchs_own(query, key, torch.eye(key.shape[2]).expand(*key.shape[:2], -1, -1), **rest)[0])
        return torchs_own(query, key, value, **rest)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", telling)
    found = network_weights(model, row(5, 4))
    torch.testing.assert_close(found.layers, torch.stack(attended))
    torch.testing.assert_close(found.layers.sum(-1), torch.ones(2, 4, 9))


def test_a_span_finder_takes_from_its_question_alone() -> None:
    model: Any = network(SpanFinder, facts("rnn", pooling="max", pairs=None))
    found = network_weights(model, row(5, 6))
    question, share = found.question, found.shares["question"]
    assert question is not None
    assert (question.shape, share.shape, len(found.layers)) == ((11, 11), (11,), 0)
    torch.testing.assert_close(question.sum(-1), torch.ones(11))
    torch.testing.assert_close(share.sum(), torch.tensor(1.0))
    assert question[:, [0, *range(5, 11)]].max() == share[[0, *range(5, 11)]].max() == 0
    # The formula of Chen et al. (2017): a softmax over products of relu(W e).
    embedded, _ = model.backbone.embed(row(5, 6))
    keys = torch.relu(model.align(embedded[0]))
    torch.testing.assert_close(question[7, 1:5], (keys[1:5] @ keys[7]).softmax(0))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (facts("rnn", pooling="max"), False),
        (facts("rnn"), True),
        (facts("transformer", pooling="max"), True),
        (facts("rnn", pairs=None), True),  # a span finder
        (facts("rnn", pairs=None, tagging_head="crf", labels=["O"], tagging_constrained=True), False),
    ],
)
def test_which_networks_have_attention(told: dict[str, Any], expected: bool, tmp_path: Any) -> None:
    assert has_attention(told) == expected
    cls = Classifier if "num_labels" in told else Tagger if "labels" in told else SpanFinder
    network(cls, told).save_pretrained(tmp_path)
    if expected:
        assert type(load_attentive(tmp_path)) is cls
    else:
        with pytest.raises(StageError, match="the backbone 'rnn'.* has no attention"):
            load_attentive(tmp_path)


def test_a_network_that_reads_spellings_is_refused(tmp_path: Any) -> None:
    told = facts("transformer", pairs=None, labels=["O"], tagging_head="softmax", tagging_constrained=True)
    spelling = {"size": 4, "num_filters": 3, "filter_width": 2}
    network(Tagger, told | {"characters": spelling}).save_pretrained(tmp_path)
    with pytest.raises(StageError, match="how tokens are spelt"):
        load_attentive(tmp_path)
