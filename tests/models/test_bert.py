"""Our losses are transformers' own, and what we save transformers loads whole."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForPreTraining, AutoModelForSequenceClassification, BertConfig

from bertkit.errors import StageError
from bertkit.models import bert, classification

SIZES = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}


def model(seed: int = 1) -> bert.BertForPreTraining:
    return bert.new_pretraining_model(SIZES, vocab_size=100, pad_token_id=0, seed=seed).eval()


def batch() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 100, (4, 16), generator=generator)
    attention = torch.ones_like(ids)
    attention[2:, 12:] = 0
    types = torch.zeros_like(ids)
    types[:, 8:12] = 1
    labels = torch.full_like(ids, -100)
    positions = torch.tensor([3, 9, 17, 20, 35, 60 - 16 + 2])
    labels.view(-1)[positions] = ids.view(-1)[positions]
    sparse = {
        "input_ids": ids,
        "attention_mask": attention,
        "token_type_ids": types,
        "masked_positions": positions,
        "masked_labels": labels.view(-1)[positions],
        "next_sentence_label": torch.tensor([0, 1, 1, 0]),
    }
    return sparse, labels


@pytest.mark.parametrize("picked", [False, True])
def test_the_sparse_head_has_the_loss_and_gradients_of_the_dense_one(picked: bool) -> None:
    sparse, labels = batch()
    if picked:
        sparse["picked"] = torch.tensor([[0, 3, 9], [0, 1, 4], [0, 3, 14], [0, 0, 0]])
        sparse["masked_picks"] = torch.tensor([1, 2, 4, 5, 7, 8])
    ours, theirs = model(), model()
    sums = bert.PretrainingLoss(ours)(sparse)
    loss = sums["mlm_loss"] / sums["mlm_count"] + sums["nsp_loss"] / sums["nsp_count"]
    inputs = {name: sparse[name] for name in ("input_ids", "attention_mask", "token_type_ids", "next_sentence_label")}
    reference = theirs(**inputs, labels=labels).loss
    assert torch.allclose(loss, reference, atol=1e-6)
    loss.backward()
    reference.backward()
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert a.grad is not None, name
        assert torch.allclose(a.grad, b.grad, atol=1e-6), name


def test_a_batch_without_pairs_has_a_finite_loss_and_reaches_every_parameter() -> None:
    sparse, _ = batch()
    sparse["next_sentence_label"] = torch.full((4,), -100)
    ours = model()
    sums = bert.PretrainingLoss(ours)(sparse)
    assert (sums["nsp_loss"].item(), int(sums["nsp_count"])) == (0.0, 0)
    (sums["mlm_loss"] + sums["nsp_loss"]).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in ours.parameters())


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(99)
    first = model(3)
    torch.rand(7)
    second, other = model(3), model(4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.bert.pooler.dense.weight, other.bert.pooler.dense.weight)


@pytest.mark.parametrize("auto", [AutoModelForPreTraining, AutoModelForMaskedLM])
def test_a_saved_model_loads_whole_in_transformers(tmp_path: Path, auto: type) -> None:
    ours = model()
    bert.save(ours, tmp_path)
    theirs, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    unexpected = {
        name for name in info["unexpected_keys"] if not name.startswith(("cls.seq_relationship", "bert.pooler"))
    }
    assert not unexpected
    if auto is AutoModelForPreTraining:
        assert not info["unexpected_keys"]
    sparse, _ = batch()
    inputs = {name: sparse[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        a, b = ours(**inputs), theirs.eval()(**inputs)
    assert torch.allclose(a.prediction_logits, b.prediction_logits if "prediction_logits" in b else b.logits, atol=1e-5)


def test_a_classifier_starts_from_the_encoder_and_loads_whole(tmp_path: Path) -> None:
    pretrained = model()
    bert.save(pretrained, tmp_path / "start")
    ours = classification.new_classifier(tmp_path / "start", ["no", "yes"], init="pretrained", dropout=None, seed=1)
    assert torch.equal(
        ours.bert.encoder.layer[0].output.dense.weight, pretrained.bert.encoder.layer[0].output.dense.weight
    )
    bert.save(ours, tmp_path / "out")
    theirs, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert theirs.config.id2label == {0: "no", 1: "yes"}
    sparse, _ = batch()
    inputs = {name: sparse[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        assert torch.allclose(
            classification.ClassificationLoss(ours.eval()).outputs(inputs)["logits"],
            theirs.eval()(**inputs).logits,
            atol=1e-5,
        )


def test_random_init_has_the_shape_but_not_the_weights(tmp_path: Path) -> None:
    pretrained = model()
    bert.save(pretrained, tmp_path)
    random = classification.new_classifier(tmp_path, ["a", "b"], init="random", dropout=0.3, seed=2)
    assert random.config.classifier_dropout == 0.3
    for (_, a), (_, b) in zip(random.bert.named_parameters(), pretrained.bert.named_parameters(), strict=True):
        assert a.shape == b.shape
    first = random.bert.encoder.layer[0].attention.self.query.weight
    assert not torch.equal(first, pretrained.bert.encoder.layer[0].attention.self.query.weight)


@pytest.mark.parametrize(
    ("layers", "kept"), [(None, [True, True, True]), (0, [True, True, False]), (1, [True, False, False])]
)
def test_the_top_of_a_model_can_start_anew(tmp_path: Path, layers: int | None, kept: list[bool]) -> None:
    pretrained = model()
    bert.save(pretrained, tmp_path)
    ours = classification.new_classifier(
        tmp_path, ["a", "b"], init="pretrained", dropout=None, seed=2, reinit_layers=layers
    )
    pairs = [(ours.bert.encoder.layer[i], pretrained.bert.encoder.layer[i]) for i in (0, 1)]
    pairs += [(ours.bert.pooler, pretrained.bert.pooler)]
    same = [all(torch.equal(a, b) for a, b in zip(x.parameters(), y.parameters(), strict=True)) for x, y in pairs]
    assert same == kept
    assert torch.equal(ours.bert.embeddings.word_embeddings.weight, pretrained.bert.embeddings.word_embeddings.weight)


def test_incomplete_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    bert.save(model(), tmp_path / "pretraining")
    with pytest.raises(StageError, match="lacks 2 of the model's tensors"):
        classification.load_classifier(tmp_path / "pretraining")
    with pytest.raises(StageError, match="no such file"):
        classification.load_classifier(tmp_path)
    config = BertConfig(**SIZES).to_dict() | {"model_type": "gpt2"}
    (tmp_path / "gpt").mkdir()
    BertConfig.from_dict(config).save_pretrained(tmp_path / "gpt")
    path = tmp_path / "gpt" / "config.json"
    path.write_text(path.read_text().replace('"bert"', '"gpt2"'))
    with pytest.raises(StageError, match="model_type is 'gpt2'"):
        bert.require_bert(tmp_path / "gpt")


def test_recomputed_activations_give_the_same_bits_with_dropout() -> None:
    sparse, _ = batch()
    outcomes = []
    for recompute in (False, True):
        ours = model().train()
        calls: list[int] = []
        ours.bert.encoder.layer[0].intermediate.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        if recompute:
            bert.recompute_activations(ours)
        torch.manual_seed(5)
        sums = bert.PretrainingLoss(ours)(sparse)
        (sums["mlm_loss"] + sums["nsp_loss"]).backward()
        assert len(calls) == 1 + recompute
        outcomes.append((sums["mlm_loss"], [p.grad for p in ours.parameters()]))
    (loss, gradients), (again, others) = outcomes
    assert torch.equal(loss, again)
    assert all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))


def test_a_batch_without_padding_attends_without_a_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    from bertkit.models import attention

    masks: list[torch.Tensor | None] = []
    forward = attention.sdpa_attention_forward

    def watched(module: Any, query: Any, key: Any, value: Any, mask: torch.Tensor | None, **kwargs: Any) -> Any:
        masks.append(mask)
        return forward(module, query, key, value, mask, **kwargs)

    monkeypatch.setattr(attention, "sdpa_attention_forward", watched)
    sparse, _ = batch()
    objective = bert.PretrainingLoss(model()).eval()
    objective(sparse)
    assert all(mask is not None for mask in masks)
    masks.clear()
    del sparse["attention_mask"]
    objective(sparse)
    assert masks == [None, None]


def test_a_classifier_starts_from_the_pretrained_segments_and_reads_them(tmp_path: Path) -> None:
    pretrained = model()
    with torch.no_grad():
        pretrained.bert.embeddings.token_type_embeddings.weight[1] += 1.0
    bert.save(pretrained, tmp_path)
    network = classification.new_classifier(tmp_path, ["no", "yes"], init="pretrained", dropout=None, seed=1)
    loaded = network.bert.embeddings.token_type_embeddings.weight
    assert torch.equal(loaded, pretrained.bert.embeddings.token_type_embeddings.weight)
    loss = classification.ClassificationLoss(network).eval()
    ids, types = torch.tensor([[2, 7, 3, 8, 3]]), torch.tensor([[0, 0, 0, 1, 1]])
    one, other = (loss.outputs({"input_ids": ids, "token_type_ids": kinds})["logits"] for kinds in (types, 1 - types))
    assert not torch.allclose(one, other)


def test_weights_may_be_read_by_whoever_may_read_the_configuration(tmp_path: Path) -> None:
    bert.save(model(), tmp_path)
    modes = {(tmp_path / name).stat().st_mode for name in ("config.json", "model.safetensors")}
    assert len(modes) == 1
