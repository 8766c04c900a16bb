"""Networks over tokens: spelt words, tags and answers, whatever padding follows them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bertkit.errors import ConfigError
from bertkit.models.characters import CharacterCNN
from bertkit.models.sources import NetworkSource, trained_span_model, trained_tagger
from bertkit.models.spans import SpansLoss
from bertkit.models.tagging import TaggingLoss
from bertkit.models.token_networks import SpanFinder, Tagger
from bertkit.text import word_level

LABELS = ["O", "B-A", "I-A"]
RECURRENT = {
    "cell": "lstm",
    "hidden_size": 6,
    "num_layers": 1,
    "bidirectional": True,
    "pooling": "max",
    "layer_norm": False,
    "dropout": 0.0,
}
CNN = {"filter_widths": [3], "num_filters": 8, "pooling": "max", "k": 1, "norm": "none", "activation": "relu"}


def facts(backbone: str = "rnn", **more: Any) -> dict[str, Any]:
    found = {
        "backbone": backbone,
        "options": {"rnn": RECURRENT, "textcnn": CNN, "bag": {"ngrams": 1, "buckets": 5}}[backbone],
        "vocab_size": 20,
        "pad_token_id": 0,
        "embedding_dim": 5,
        "channels": "non_static",
        "embedding_dropout": 0.0,
        "dropout": 0.0,
    }
    return found | more


def tagger(**more: Any) -> Tagger:
    torch.manual_seed(0)
    own = {"labels": LABELS, "tagging_head": "crf", "tagging_constrained": True}
    return Tagger(facts(**(own | more))).eval()


def spelt(*words: str) -> Tensor:
    width = max(1, *map(len, words))
    return torch.tensor([[byte + 1 for byte in word.encode()] + [0] * (width - len(word)) for word in words])


def test_a_spelling_is_the_greatest_of_each_filter_over_the_words_bytes() -> None:
    torch.manual_seed(1)
    network = CharacterCNN(size=3, num_filters=4, filter_width=3)
    for word in ("a", "rome"):
        vectors = torch.cat([torch.zeros(2, 3), network.bytes(spelt(word)[0]), torch.zeros(2, 3)])
        values = [
            (network.convolution.weight * vectors[i : i + 3].T).sum((1, 2)) + network.convolution.bias
            for i in range(len(vectors) - 2)
        ]
        expected = torch.stack(values).amax(0).relu()
        found = network(spelt("", word, "longer than it"), torch.tensor([[0, 1]]))[0]
        torch.testing.assert_close(found[1], expected)
        assert torch.equal(found[0], torch.zeros(4))


def sentences() -> dict[str, Tensor]:
    """Two sentences of three and two words, the second padded."""
    return {
        "input_ids": torch.tensor([[1, 7, 8, 9, 2], [1, 5, 6, 2, 0]]),
        "token_type_ids": torch.zeros(2, 5, dtype=torch.long),
        "attention_mask": torch.tensor([[1] * 5, [1] * 4 + [0]]),
        "word_begins": torch.tensor([[1, 2, 3], [1, 2, 0]]),
        "word_ends": torch.tensor([[2, 3, 4], [2, 3, 1]]),
        "labels": torch.tensor([[1, 2, 0], [0, 1, -100]]),
        "edges": torch.ones(2, 2, dtype=torch.long),
        "spellings": spelt("", "Ada", "von", "x"),
        "spelling": torch.tensor([[0, 1, 2, 3, 0], [0, 3, 1, 0, 0]]),
    }


@pytest.mark.parametrize("head", ["softmax", "crf"])
@pytest.mark.parametrize("backbone", ["rnn", "textcnn"])
def test_a_sentence_has_the_tags_that_it_has_alone(head: str, backbone: str) -> None:
    model = tagger(backbone=backbone, tagging_head=head, characters={"size": 4, "num_filters": 3, "filter_width": 2})
    objective = TaggingLoss(model, pooling="first").eval()
    both = sentences()
    alone = {name: value[1:, :4] if value.shape[1] == 5 else value[1:] for name, value in both.items()}
    alone |= {"spellings": both["spellings"], "word_begins": both["word_begins"][1:, :2]}
    alone |= {"word_ends": both["word_ends"][1:, :2], "labels": both["labels"][1:, :2]}
    together, single = objective.outputs(both), objective.outputs(alone)
    for name in ("logits", "probabilities", "tags"):
        torch.testing.assert_close(together[name][1:, :2], single[name], atol=1e-5, rtol=1e-5)


def questions() -> dict[str, Tensor]:
    """`[CLS] q q [SEP] c c c [SEP]` and a shorter one, padded."""
    return {
        "input_ids": torch.tensor([[1, 7, 8, 2, 9, 8, 5, 2], [1, 5, 2, 6, 5, 2, 0, 0]]),
        "token_type_ids": torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 0, 0]]),
        "attention_mask": torch.tensor([[1] * 8, [1] * 6 + [0] * 2]),
        "context_begins": torch.tensor([4, 3]),
        "context_ends": torch.tensor([7, 5]),
        "start_positions": torch.tensor([5, 4]),
        "end_positions": torch.tensor([6, 4]),
    }


def test_an_answer_is_scored_as_it_is_alone_and_by_its_question() -> None:
    torch.manual_seed(2)
    model = SpanFinder(facts()).eval()
    both = questions()
    alone = {name: value[1:, :6] if value.ndim == 2 else value[1:] for name, value in both.items()}
    torch.testing.assert_close(model(both)[1:, :6], model(alone), atol=1e-5, rtol=1e-5)
    other = both | {"input_ids": both["input_ids"].clone()}
    other["input_ids"][0, 1] = 12
    assert (model(other)[0, 4:7] - model(both)[0, 4:7]).abs().max() > 1e-4


def test_the_score_of_a_place_is_its_product_with_the_question() -> None:
    torch.manual_seed(3)
    model = SpanFinder(facts()).eval()
    batch = {name: value[:1] for name, value in questions().items()}
    embedded, real = model.backbone.embed(batch)
    words, asked = embedded[0], slice(1, 4)
    keys = torch.relu(model.align(words))
    aligned = (keys @ keys[asked].T).softmax(-1) @ words[asked]
    ids = batch["input_ids"][0].tolist()
    same = torch.tensor([[float(i in ids[asked])] for i in ids])
    states = model.backbone.encoder(torch.cat([words, aligned, same], -1)[None], real)[0]
    question = model.query(states[asked]).softmax(0).T @ states[asked]
    expected = model.ends(states) + states @ model.questions(question).reshape(-1, 2)
    torch.testing.assert_close(model(batch)[0], expected, atol=1e-5, rtol=1e-5)


def learnt(objective: Any, batch: dict[str, Tensor]) -> float:
    optimizer = torch.optim.Adam(objective.parameters(), 3e-2)
    for _ in range(60):
        optimizer.zero_grad()
        sums = objective.train()(batch)
        (sums["loss"] / sums["count"]).backward()
        optimizer.step()
    return float(sums["loss"].detach() / sums["count"])


def test_both_heads_learn_what_they_are_shown() -> None:
    for head in ("softmax", "crf"):
        assert learnt(TaggingLoss(tagger(tagging_head=head), pooling="first"), sentences()) < 0.1
    assert learnt(SpansLoss(SpanFinder(facts())), questions()) < 0.1


def test_folders_give_back_taggers_and_span_finders(tmp_path: Path) -> None:
    word_level.save(word_level.word_tokenizer([f"w{i}" for i in range(15)], lowercase=True), tmp_path)
    source = NetworkSource(tmp_path, facts(), seed=1)
    made = source.tagger(LABELS, head="crf", constrained=True).eval()
    made.save_pretrained(tmp_path)
    again = trained_tagger(tmp_path).eval()
    assert torch.equal(again.states(sentences()), made.states(sentences()))
    assert torch.equal(again.crf.transitions, made.crf.transitions)
    finder = source.span_model().eval()
    finder.save_pretrained(tmp_path)
    assert torch.equal(trained_span_model(tmp_path).eval()(questions()), finder(questions()))
    assert isinstance(finder.align, nn.Linear)


def test_a_bag_has_nothing_to_say_of_a_token() -> None:
    with pytest.raises(ConfigError, match="a bag of words knows no neighbours, and tags need them"):
        tagger(backbone="bag")
    with pytest.raises(ConfigError, match="and spans need them"):
        SpanFinder(facts("bag"))
