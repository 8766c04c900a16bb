"""The loss of spans is transformers' where every place may be an answer, and no place outside the context counts."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, BertConfig, BertForPreTraining

from bertkit.models import bert
from bertkit.models.spans import IGNORED, SpansLoss, load_span_model, new_span_model

SIZES = {"vocab_size": 30, "num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    bert.save(BertForPreTraining(BertConfig(**SIZES, max_position_embeddings=32, initializer_range=0.5)), folder)
    return folder


@pytest.fixture
def objective(folder: Path) -> SpansLoss:
    options = {"init": "pretrained", "dropout": 0.0, "seed": 1, "reinit_layers": None}
    return SpansLoss(new_span_model(folder, **options))


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "input_ids": torch.randint(1, 30, (3, 12)),
        "token_type_ids": torch.tensor([[0] * 4 + [1] * 8] * 3),
        "attention_mask": torch.tensor([[1] * 12, [1] * 12, [1] * 9 + [0] * 3]),
        "context_begins": torch.tensor([4, 4, 4]),
        "context_ends": torch.tensor([11, 11, 8]),
        "start_positions": torch.tensor([5, 0, 6]),
        "end_positions": torch.tensor([7, 0, 6]),
    }


def test_the_saved_folder_loads_in_transformers_with_the_same_logits(objective: SpansLoss, tmp_path: Path) -> None:
    objective.eval()
    bert.save(objective.model, tmp_path)
    given = batch()
    theirs = AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        ours = objective.outputs(given)
        expected = theirs(**{name: given[name] for name in ("input_ids", "token_type_ids", "attention_mask")})
        again = SpansLoss(load_span_model(tmp_path)).eval().outputs(given)
    for name in ("start_logits", "end_logits"):
        torch.testing.assert_close(ours[name], expected[name], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours[name], again[name])


def test_the_loss_is_the_cross_entropy_over_places_that_can_be_answers(objective: SpansLoss) -> None:
    given = batch()
    outputs = objective.outputs(given)
    sums = objective.sums(given, outputs)
    expected = 0.0
    for row, (begin, end) in enumerate(zip(given["context_begins"], given["context_ends"], strict=True)):
        places = [0, *range(begin, end)]
        for side in ("start", "end"):
            own = outputs[f"{side}_logits"][row, places].log_softmax(-1)
            expected -= own[places.index(int(given[f"{side}_positions"][row]))].item() / 2
    assert sums["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert sums["count"] == 3


def test_windows_whose_answer_is_unknown_are_not_learnt(objective: SpansLoss) -> None:
    given = batch()
    known = {name: value[:2] for name, value in given.items()}
    given["start_positions"][2] = given["end_positions"][2] = IGNORED
    one, other = objective(given), objective(known)
    assert one["loss"].item() == pytest.approx(other["loss"].item(), rel=1e-5)
    assert one["count"] == other["count"] == 2
    nothing = {name: value[2:] for name, value in given.items()}
    nothing["start_positions"] = nothing["end_positions"] = torch.tensor([IGNORED])
    sums = objective(nothing)
    sums["loss"].backward()
    assert sums["loss"] == 0


def test_smoothing_spreads_over_the_context_and_not_over_padding(folder: Path) -> None:
    options = {"init": "pretrained", "dropout": 0.0, "seed": 1, "reinit_layers": None}
    smooth = SpansLoss(new_span_model(folder, **options), label_smoothing=0.1)
    loss = smooth(batch())["loss"].item()
    assert loss == pytest.approx(loss)
    assert loss < 100  # the 1e4 of closed places has no part in it
