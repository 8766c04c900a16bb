"""Heads that begin by attending to neighbours, and to the same word in the other text."""

from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy
from transformers import BertForPreTraining

from bertkit.errors import StageError
from bertkit.models import bert
from bertkit.models.classification import new_classifier
from bertkit.models.initialisation import attend_to_neighbours, attend_to_the_same_words
from bertkit.stages.pretrain import ModelConfig

SIZES = {
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
    "initializer_range": 0.08,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


def new(heads: int, **sizes: object) -> BertForPreTraining:
    return bert.new_pretraining_model(
        {**SIZES, "local_heads": heads, **sizes}, vocab_size=300, pad_token_id=0, seed=3
    ).eval()


@torch.no_grad()
def attention(model: BertForPreTraining, length: int = 256) -> torch.Tensor:
    """Of the first layer, [heads, queries, keys], a mean over texts."""
    model.set_attn_implementation("eager")
    ids = torch.randint(5, 300, (16, length), generator=torch.Generator().manual_seed(1))
    return model.bert(ids, output_attentions=True).attentions[0].mean(0)


def test_each_local_head_attends_to_its_neighbour_at_every_position() -> None:
    found = attention(new(4))
    for head, offset in enumerate((-1, 1, -2, 2)):
        at = torch.diagonal(found[head], offset)
        assert at.min() > 0.4
        for other in set(range(-4, 5)) - {offset}:
            assert torch.diagonal(found[head], other).mean() < at.mean() / 2


def test_heads_that_are_not_local_begin_without_a_place_in_mind() -> None:
    found = attention(new(2))
    assert all(torch.diagonal(found[head], 1).mean() < 2 / 256 for head in (2, 3))


def test_all_other_weights_are_those_of_the_same_seed_without_local_heads() -> None:
    plain, local = dict(new(0).named_parameters()), dict(new(2).named_parameters())
    changed = {name for name in plain if not torch.equal(plain[name], local[name])}
    assert changed == {
        "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.position_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight",
        "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.0.attention.self.key.weight",
    }
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(plain[query][64:], local[query][64:])


def test_the_same_bert_from_random_weights_begins_as_the_pretrained_one_did(tmp_path: Path) -> None:
    first = new(2)
    bert.save(first, tmp_path)
    again = new_classifier(tmp_path, ["a", "b"], init="random", dropout=None, seed=8).eval()
    assert torch.diagonal(attention(first)[0], -1).min() > 0.4
    assert torch.diagonal(attention(again)[0], -1).min() > 0.4


def test_a_pattern_of_neighbours_is_learnt_sooner() -> None:
    def loss_after(heads: int) -> float:
        torch.manual_seed(0)
        model = new(heads, hidden_size=64, num_attention_heads=2, max_position_embeddings=64).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        follows = torch.randperm(290, generator=torch.Generator().manual_seed(2)) + 5
        losses = []
        for _ in range(80):
            rows = [torch.randint(5, 295, (8,))]
            for _ in range(63):
                rows.append(torch.where(torch.rand(8) < 0.1, torch.randint(5, 295, (8,)), follows[rows[-1] - 5]))
            ids = torch.stack(rows, 1)
            masked = torch.rand(ids.shape) < 0.15
            hidden = model.bert(ids.masked_fill(masked, 4)).last_hidden_state[masked]
            loss = cross_entropy(model.cls.predictions(hidden), ids[masked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return sum(losses[-10:]) / 10

    assert loss_after(2) < loss_after(0) - 0.3


def matching(model: BertForPreTraining, heads: int) -> BertForPreTraining:
    attend_to_the_same_words(model.bert, heads)
    return model


# Without local heads positions begin as noise, in which words are harder to tell: an even share would be 0.02.
@pytest.mark.parametrize(
    ("local", "heads", "width", "least"),
    [(2, 4, 128, 0.5), (1, 2, 128, 0.5), (2, 4, 256, 0.5), (0, 2, 64, 0.2), (0, 1, 64, 0.2)],
)
@torch.no_grad()
def test_a_matching_head_attends_to_the_same_word_in_the_other_text(
    local: int, heads: int, width: int, least: float
) -> None:
    model = matching(new(local, num_attention_heads=heads, hidden_size=width), 1)
    model.set_attn_implementation("eager")
    ids = torch.randperm(290, generator=torch.Generator().manual_seed(1))[:60] + 5
    shared = {2: 12, 3: 40, 5: 58, 8: 55, 11: 21}  # places of words that both texts have: the second begins at 12
    for first, second in shared.items():
        ids[second] = ids[first]
    output = model.bert(ids[None], token_type_ids=(torch.arange(60) >= 12).long()[None], output_attentions=True)
    found = output.attentions[0][0, -1]
    copies = torch.stack([found[first, second] + found[second, first] for first, second in shared.items()]) / 2
    alone = found.diagonal()[[i for i in range(60) if i not in {*shared, *shared.values()}]]
    assert min(copies.mean(), alone.mean()) > least


@torch.no_grad()
def test_texts_are_told_apart_where_words_have_outgrown_them() -> None:
    model = new(2)
    kinds = model.bert.embeddings.token_type_embeddings.weight
    kinds *= 0.2
    middle = kinds.mean(0)
    matching(model, 1)
    words = model.bert.embeddings.word_embeddings.weight
    half = (kinds[1] - kinds[0]) / 2
    assert float((words @ half).std() / (half @ half)) == pytest.approx(0.15, rel=1e-4)
    assert torch.allclose(kinds.mean(0), middle, atol=1e-6)


@torch.no_grad()
def test_all_weights_but_the_matching_heads_stay() -> None:
    plain, model = new(2), matching(new(2), 2)
    given = dict(model.named_parameters())
    changed = {name: (one != given[name]).nonzero() for name, one in plain.named_parameters()}
    layer = "bert.encoder.layer.0.attention"
    inner = {f"{layer}.self.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")}
    assert {name for name, places in changed.items() if len(places)} == {*inner, f"{layer}.output.dense.weight"}
    assert all(changed[name][:, 0].min() >= 64 for name in inner)  # the first two heads have the outputs up to 64
    assert {*changed[f"{layer}.output.dense.weight"][:, 1].tolist()} == {64, 96}


def test_whether_two_texts_share_a_word_is_learnt_at_once() -> None:
    def accuracy_after(heads: int) -> float:
        torch.manual_seed(0)
        model = new(0, hidden_size=64, num_attention_heads=2, max_position_embeddings=64).train()
        optimizer = torch.optim.AdamW(matching(model, heads).parameters(), lr=2e-3)
        correct = []
        for _ in range(80):
            ids = torch.stack([torch.randperm(290)[:32] + 5 for _ in range(32)])
            shares = torch.rand(32) < 0.5
            ids[:, 20] = torch.where(shares, ids[:, 4], ids[:, 20])
            sides = (torch.arange(32) >= 8).long().expand(32, -1)
            logits = model.cls.seq_relationship(model.bert(ids, token_type_ids=sides).pooler_output)
            loss = cross_entropy(logits, shares.long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            correct.append((logits.argmax(-1) == shares.long()).float().mean().item())
        return sum(correct[-10:]) / 10

    assert accuracy_after(1) > 0.85
    assert accuracy_after(0) < 0.65


@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_a_head_for_pairs_begins_with_matching_heads(tmp_path: Path, init: Literal["pretrained", "random"]) -> None:
    first = new(2)
    bert.save(first, tmp_path)
    options = {"init": init, "dropout": None, "seed": 3}
    plain = new_classifier(tmp_path, ["a", "b"], **options)
    given = new_classifier(tmp_path, ["a", "b"], **options, matching_heads=2)
    expected = matching(plain, 2).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in given.state_dict().items())
    with pytest.raises(StageError, match=r"matching_heads: 5 heads of 4"):
        new_classifier(tmp_path, ["a", "b"], **options, matching_heads=5)


def test_a_bert_that_was_never_shown_two_texts_is_refused_and_left_alone(tmp_path: Path) -> None:
    one = new(0)
    with torch.no_grad():
        kinds = one.bert.embeddings.token_type_embeddings.weight
        kinds[1] = kinds[0]
    before = {name: value.clone() for name, value in one.state_dict().items()}
    with pytest.raises(ValueError, match="one embedding for both texts"):
        attend_to_the_same_words(one.bert, 1)
    of_one_kind = new(0)
    of_one_kind.bert.embeddings.token_type_embeddings = torch.nn.Embedding(1, 32)
    with pytest.raises(ValueError, match="one embedding for both texts"):
        attend_to_the_same_words(of_one_kind.bert, 1)
    assert all(torch.equal(value, before[name]) for name, value in one.state_dict().items())
    bert.save(one, tmp_path)
    with pytest.raises(StageError, match="matching_heads: the model has one embedding for both texts"):
        new_classifier(tmp_path, ["a", "b"], init="pretrained", dropout=None, seed=3, matching_heads=1)


def test_too_many_or_too_narrow_heads_are_refused() -> None:
    with pytest.raises(ValidationError, match="local_heads 3 is over num_attention_heads 2"):
        ModelConfig(local_heads=3)
    with pytest.raises(ValidationError, match="local_heads=0 begins without"):
        ModelConfig(local_heads=2, hidden_size=16)
    with pytest.raises(ValueError, match="4 coordinates"):
        attend_to_neighbours(new(0, hidden_size=16).bert, 2)
