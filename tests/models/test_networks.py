"""Baseline networks compute what their papers say, whatever padding follows a text, and come back from a folder as they were."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bertkit.errors import StageError
from bertkit.models.embeddings import NGramEmbeddings, WordEmbeddings
from bertkit.models.flops import flops_of
from bertkit.models.network import Classifier, holds_network, split_pairs
from bertkit.models.pooling import Pooling
from bertkit.models.rnn import RNN
from bertkit.models.textcnn import BatchNorm, TextCNN
from bertkit.models.transformer import Transformer, sinusoids

CNN = {"filter_widths": [2, 3, 5], "num_filters": 4, "pooling": "max", "k": 1, "norm": "none", "activation": "relu"}
RECURRENT = {
    "cell": "lstm",
    "hidden_size": 6,
    "num_layers": 2,
    "bidirectional": True,
    "pooling": "max",
    "layer_norm": False,
    "dropout": 0.1,
}
ATTENTION = {
    "hidden_size": 8,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_size": 12,
    "positions": "sinusoidal",
    "norm": "pre",
    "pooling": "mean",
    "dropout": 0.1,
    "max_length": 20,
}
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("textcnn", CNN),
    ("textcnn", CNN | {"pooling": "kmax", "k": 3, "norm": "batch", "activation": "tanh"}),
    ("textcnn", CNN | {"pooling": "l2", "norm": "layer", "activation": "gelu"}),
    ("textcnn", CNN | {"pooling": "attention", "activation": "leaky_relu"}),
    ("rnn", RECURRENT),
    ("rnn", RECURRENT | {"cell": "gru", "pooling": "last", "layer_norm": True}),
    ("rnn", RECURRENT | {"cell": "rnn", "pooling": "last", "bidirectional": False}),
    ("rnn", RECURRENT | {"pooling": "attention"}),
    ("rnn", RECURRENT | {"pooling": "mean"}),
    ("transformer", ATTENTION),
    ("transformer", ATTENTION | {"norm": "post", "positions": "learned", "pooling": "max"}),
    ("bag", {"ngrams": 3, "buckets": 50}),
    ("bag", {"ngrams": 1, "buckets": 50}),
]
NAMES = [
    f"{backbone}-{'-'.join(str(v) for v in options.values() if isinstance(v, str))}" for backbone, options in OPTIONS
]
VOCABULARY = 30


def classifier(backbone: str, options: dict[str, Any], *, pairs: bool = False, **changes: Any) -> Classifier:
    torch.manual_seed(0)
    facts = {
        "backbone": backbone,
        "options": options,
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
        "embedding_dim": 8,
        "channels": "non_static",
        "embedding_dropout": 0.0,
        "dropout": 0.5,
        "num_labels": 3,
        "problem_type": "single_label_classification",
        "pairs": pairs,
    }
    return Classifier(facts | changes).eval()


def batch(rows: list[list[int]], *, length: int | None = None, second: list[int] | None = None) -> dict[str, Tensor]:
    """Rows of ids, padded with 0; `second` says where the second text of each begins."""
    width = length or max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    types = torch.zeros_like(ids)
    for i, begin in enumerate(second or []):
        types[i, begin : len(rows[i])] = 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


ROWS = [[7, 3, 9, 4, 11, 5, 2, 8], [4, 6], [3], [12, 12, 5, 1, 9]]


@pytest.mark.parametrize(("backbone", "options"), OPTIONS, ids=NAMES)
def test_padding_changes_nothing(backbone: str, options: dict[str, Any]) -> None:
    network = classifier(backbone, options)
    with torch.no_grad():
        for parameter in network.parameters():  # positions, norms and running figures that are not what they begin as
            parameter.add_(torch.rand_like(parameter) * 0.1)
        network.get_input_embeddings().tables[0].weight[0] = 5.0  # even if padding had a vector
        together = network(batch(ROWS, length=16))
        for row, logits in zip(ROWS, together, strict=True):
            alone = batch([row])
            del alone["attention_mask"]
            torch.testing.assert_close(network(alone)[0], logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("backbone", "options"), OPTIONS, ids=NAMES)
def test_a_folder_gives_back_the_network_and_its_logits(backbone: str, options: dict[str, Any], tmp_path: Path) -> None:
    network = classifier(backbone, options)
    network.save_pretrained(tmp_path)
    assert holds_network(tmp_path)
    again = Classifier.load(tmp_path).eval()
    assert torch.equal(again(batch(ROWS)), network(batch(ROWS)))
    assert again.facts == network.facts
    assert flops_of(again)({"input_ids": torch.zeros(2, 8).numpy()}) > 0


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    classifier("textcnn", CNN).save_pretrained(tmp_path)
    facts = json.loads((tmp_path / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps(facts | {"vocab_size": 31}))
    with pytest.raises(StageError, match=r"does not hold the weights of network\.json"):
        Classifier.load(tmp_path)


@pytest.mark.parametrize(("backbone", "options"), OPTIONS, ids=NAMES)
def test_texts_of_a_pair_do_not_see_each_other(backbone: str, options: dict[str, Any]) -> None:
    network = classifier(backbone, options, pairs=True)
    rows, second = [[7, 3, 9, 4, 11], [4, 6, 8, 2, 9, 9, 3], [3, 5]], [3, 2, 1]
    together = network(batch(rows, second=second))
    for row, begin, logits in zip(rows, second, together, strict=True):
        single = classifier(backbone, options)
        single.backbone = network.backbone
        vectors = []
        for text in (row[:begin], row[begin:]):
            embedded, real = single.backbone.embed(batch([text]))
            vectors.append(single.backbone.encoder.pool(single.backbone.encoder(embedded, real), real))
        u, v = vectors
        expected = network.classifier(torch.cat([u, v, (u - v).abs(), u * v], -1))[0]
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_pairs_are_split_where_the_second_begins() -> None:
    values = torch.arange(1.0, 13).reshape(2, 6, 1)
    real = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    types = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 0, 0]])
    texts, present = split_pairs(values, real, types)
    assert texts[..., 0].tolist() == [[1, 2, 0, 0], [7, 8, 9, 0], [3, 4, 5, 6], [10, 0, 0, 0]]
    assert present.sum(1).tolist() == [2, 3, 4, 1]


def test_a_convolution_is_a_product_with_the_words_around() -> None:
    torch.manual_seed(1)
    cnn = TextCNN(4, **CNN)
    text = torch.randn(6, 4)
    expected = []
    for size, layer in zip(CNN["filter_widths"], cnn.convolutions, strict=True):
        before = (size - 1) // 2
        framed = torch.cat([torch.zeros(before, 4), text, torch.zeros(size // 2, 4)])
        for number in range(CNN["num_filters"]):
            values = []
            for i in range(len(text)):
                window = framed[i : i + size]
                values.append((layer.weight[number].T * window).sum() + layer.bias[number])
            expected.append(torch.stack(values).max().relu())
    real = torch.ones(1, 6, dtype=torch.bool)
    pooled = cnn.pool(cnn(text[None], real), real)
    torch.testing.assert_close(pooled[0], torch.stack(expected), atol=1e-5, rtol=1e-5)


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=9), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_k_greatest_stand_in_their_order(values: list[float], k: int, padding: int) -> None:
    states = torch.tensor([*values, *[99.0] * padding])[None, :, None]
    real = torch.tensor([[True] * len(values) + [False] * padding])
    found = Pooling("kmax", 1, k=k)(states, real)[0].tolist()
    kept = min(k, len(values))
    assert sorted(found[:kept]) == sorted(sorted(values)[-kept:])
    rest = iter(values)
    assert all(value in rest for value in found[:kept])  # a subsequence
    assert found[kept:] == [0.0] * (k - kept)


def test_two_channels_are_what_each_filter_makes_of_both() -> None:
    torch.manual_seed(2)
    embeddings = WordEmbeddings(VOCABULARY, 4, pad=0, channels="multichannel")
    with torch.no_grad():
        embeddings.tuned.weight.add_(torch.randn(VOCABULARY, 4))  # it has learnt
    layer = nn.Conv1d(4, 3, 2)
    ids = torch.tensor([[5, 6, 7, 8]])
    tuned, fixed = (table(ids).transpose(1, 2) for table in embeddings.tables)
    both = layer(tuned) + layer(fixed) - layer.bias[:, None]
    torch.testing.assert_close(layer(embeddings(ids).transpose(1, 2)), both, atol=1e-5, rtol=1e-5)
    assert not embeddings.fixed.weight.requires_grad


def test_batch_norm_is_torchs_over_the_real_tokens() -> None:
    torch.manual_seed(3)
    ours, theirs = BatchNorm(5), nn.BatchNorm1d(5)
    for _ in range(3):
        states, real = torch.randn(2, 4, 5) * 2 + 1, torch.tensor([[True] * 4, [True, True, False, False]])
        states[~real] = 1e6
        torch.testing.assert_close(ours(states, real)[real], theirs(states[real]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.running_mean.data, theirs.running_mean)
    torch.testing.assert_close(ours.running_var.data, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(states, real)[real], theirs(states[real]), atol=1e-5, rtol=1e-5)


def test_an_lstm_goes_through_its_gates_word_by_word() -> None:
    torch.manual_seed(4)
    options = RECURRENT | {"num_layers": 1, "bidirectional": False}
    network = RNN(3, **options).eval()
    layer, text = network.layers[0][0], torch.randn(5, 3)
    hidden, cell, expected = torch.zeros(6), torch.zeros(6), []
    for word in text:
        gates = layer.weight_ih_l0 @ word + layer.bias_ih_l0 + layer.weight_hh_l0 @ hidden + layer.bias_hh_l0
        into, forget, candidate, out = gates.chunk(4)
        cell = forget.sigmoid() * cell + into.sigmoid() * candidate.tanh()
        hidden = out.sigmoid() * cell.tanh()
        expected.append(hidden)
    found = network(text[None], torch.ones(1, 5, dtype=torch.bool))[0]
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-5)
    assert torch.equal(layer.bias_ih_l0[6:12], torch.ones(6))


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_both_directions_are_those_of_packed_sequences(cell: type[nn.RNNBase]) -> None:
    torch.manual_seed(4)
    network = RNN(3, **(RECURRENT | {"num_layers": 1, "cell": cell.__name__.lower()})).eval()
    packed = cell(3, 6, batch_first=True, bidirectional=True)
    for suffix, way in zip(("", "_reverse"), network.layers[0], strict=True):
        packed.load_state_dict({f"{k}{suffix}": v for k, v in way.state_dict().items()}, strict=False)
    text, lengths = torch.randn(3, 7, 3), torch.tensor([7, 1, 4])
    real = torch.arange(7) < lengths[:, None]
    rows = pack_padded_sequence(text, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(packed(rows)[0], batch_first=True)
    torch.testing.assert_close(network(text, real), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_transformer_is_torchs(norm: str) -> None:
    torch.manual_seed(5)
    ours = Transformer(8, **(ATTENTION | {"norm": norm})).eval()
    for layer in ours.layers:
        for part in (layer.attention_norm, layer.norm):
            nn.init.uniform_(part.weight)
    real = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    embedded = torch.randn(2, 6, 8)
    states = embedded * 8**0.5 + sinusoids(6, 8)
    for layer in ours.layers:
        theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=norm == "pre")
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": layer.attention.weight,
                "self_attn.in_proj_bias": layer.attention.bias,
                **{f"self_attn.out_proj.{k}": v for k, v in layer.output.state_dict().items()},
                **{f"linear1.{k}": v for k, v in layer.widen.state_dict().items()},
                **{f"linear2.{k}": v for k, v in layer.narrow.state_dict().items()},
                **{f"norm1.{k}": v for k, v in layer.attention_norm.state_dict().items()},
                **{f"norm2.{k}": v for k, v in layer.norm.state_dict().items()},
            }
        )
        states = theirs(states, src_key_padding_mask=~real)
    expected = states if ours.norm is None else ours.norm(states)
    torch.testing.assert_close(ours(embedded, real)[real], expected[real], atol=1e-5, rtol=1e-4)


def test_places_are_sines_and_cosines_of_falling_frequency() -> None:
    found = sinusoids(50, 6)
    for place in (0, 1, 49):
        for i in range(3):
            angle = torch.tensor(place / 10000 ** (2 * i / 6))
            torch.testing.assert_close(found[place, 2 * i : 2 * i + 2], torch.stack([angle.sin(), angle.cos()]))


def test_ngrams_share_rows_by_their_hash_and_stay_within_a_text() -> None:
    torch.manual_seed(6)
    grams = NGramEmbeddings(3, ngrams=3, buckets=7)
    ids, texts = [4, 9, 2, 5, 8], [0, 0, 0, 1, 1]
    found = grams(torch.tensor([ids]), torch.tensor([texts]))[0]
    for end in range(5):
        expected = torch.zeros(3)
        for size in (2, 3):
            begin = end - size + 1
            if begin < 0 or texts[begin] != texts[end]:
                continue
            number = ids[begin]
            for word in ids[begin + 1 : end + 1]:
                number = number * 116049371 + word
            expected = expected + grams.table.weight[number % 7]
        torch.testing.assert_close(found[end], expected)


def test_attention_over_words_is_a_mean_with_learnt_weights() -> None:
    torch.manual_seed(7)
    pool, states = Pooling("attention", 4), torch.randn(1, 3, 4)
    scores = (torch.tanh(states[0] @ pool.project.weight.T + pool.project.bias) @ pool.query.weight[0]).exp()
    expected = (scores / scores.sum()) @ states[0]
    torch.testing.assert_close(pool(states, torch.ones(1, 3, dtype=torch.bool))[0], expected)


@pytest.mark.parametrize(("backbone", "options"), OPTIONS, ids=NAMES)
@pytest.mark.parametrize("pairs", [False, True])
def test_each_backbone_learns_thirty_two_rows(backbone: str, options: dict[str, Any], pairs: bool) -> None:
    network = classifier(backbone, options, pairs=pairs, dropout=0.0).train()
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(1, VOCABULARY, (8,), generator=generator).tolist() for _ in range(32)]
    inputs, labels = batch(rows, second=[4] * 32 if pairs else None), torch.arange(32) % 3
    optimizer = torch.optim.Adam(network.parameters(), 2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        optimizer.step()
        if loss < 0.05:
            break
    network.eval()
    assert (network(inputs).argmax(-1) == labels).float().mean() > 0.95
