"""Span tasks from files to answers: trained, scored, predicted again from the saved folder, in English and Chinese."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from stage_runs import random_bert, run

from bertkit.artifacts import Checkpoint, Metrics, Model, TaskData
from bertkit.errors import ConfigError, DataError
from bertkit.kinds import kind_of
from bertkit.predictor import Predictor
from bertkit.stages.evaluate import EvaluateConfig, evaluate
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.task_data import TaskDataConfig, task_data

PLACES = ["harbour", "island", "kitchen", "tower", "garden", "海", "岛", "塔"]
NAMES = ["anna", "boris", "clara", "林", "dora"]
FILLERS = ["and", "then", "it", "rained", "again", "，"]
WORDS = [*PLACES, *NAMES, *FILLERS, "is", "in", "the", "where", "who", "?", "."]
SETTINGS = {"max_seq_length": 24, "doc_stride": 6, "max_query_length": 8, "max_answer_length": 4, "n_best_size": 5}


def questions(count: int, *, seed: int, unanswerable: bool) -> dict:
    """`anna is in the harbour` somewhere among other words; the answer is the place."""
    rng = random.Random(seed)
    paragraphs = []
    for number in range(count):
        name, place = rng.choice(NAMES), rng.choice(PLACES)
        before, after = (" ".join(rng.choices(FILLERS, k=rng.randint(0, 9))) for _ in range(2))
        context = f"{before} {name} is in the {place} . {after}".strip()
        there = not unanswerable or number % 3 > 0
        asked = name if there else next(other for other in NAMES if other != name)
        answers = [{"text": place, "answer_start": context.rindex(f"the {place}") + 4}] if there else []
        qas = [
            {
                "id": f"{seed}-{number}",
                "question": f"where is {asked} ?",
                "answers": answers,
                "is_impossible": not there,
            }
        ]
        paragraphs.append({"context": context, "qas": qas})
    return {"version": "v2.0", "data": [{"title": "made up", "paragraphs": paragraphs}]}


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Checkpoint:
    return random_bert(tmp_path_factory.mktemp("start"), WORDS, layers=2, width=32, inner=64, spread=0.2)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> TaskData:
    folder = tmp_path_factory.mktemp("data")
    for name, count, seed in (("train", 240, 1), ("dev", 60, 2)):
        content = questions(count, seed=seed, unanswerable=True)
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    files = [f"source.train={folder / 'train.json'}", f"source.validation={folder / 'dev.json'}"]
    return run(task_data, TaskDataConfig, folder / "data", "source.format=squad", *files)


@pytest.fixture(scope="module")
def model(start, data, tmp_path_factory) -> Model:
    options = ["max_seq_length=24", "train_batch_size=16", "num_train_epochs=6", "learning_rate=3e-3", "device=cpu"]
    spans = ["spans.doc_stride=6", "spans.max_query_length=8", "spans.max_answer_length=4", "spans.n_best_size=5"]
    out = tmp_path_factory.mktemp("models") / "model"
    return run(finetune, FinetuneConfig, out, *options, *spans, "num_threads=1", data=data, start=start)


@pytest.fixture(scope="module")
def metrics(model, data, tmp_path_factory) -> Metrics:
    out = tmp_path_factory.mktemp("scores") / "out"
    return run(evaluate, EvaluateConfig, out, "bootstrap_samples=100", "device=cpu", model=model, data=data)


def test_it_learns_where_answers_are_and_where_none_is(metrics: Metrics) -> None:
    found = metrics.read_json("metrics.json")["metrics"]
    assert found["f1"] > 0.8
    assert found["has_answer_f1"] > 0.6
    assert found["no_answer_f1"] > 0.6
    assert found["best_f1"] >= found["f1"]
    assert metrics.read_json("metrics.json")["windows"] > 60


def test_the_threshold_is_kept_and_answers_follow_it(model: Model, metrics: Metrics) -> None:
    threshold = model.read_json("predictor.json")["settings"]["tuned"]["no_answer_threshold"]
    for line in metrics.predictions():
        assert (line["predicted"] != "") == (line["score"] > threshold)


def test_the_weights_are_chosen_with_the_threshold_they_are_kept_with(model: Model, metrics: Metrics) -> None:
    """Evaluated on the same split, the kept model gives the figure that it was chosen for."""
    assert model.read_json("predictor.json")["best_metric"] == metrics.read_json("metrics.json")["metrics"]["f1"]


def test_the_scores_follow_from_the_predictions_alone(model: Model, metrics: Metrics) -> None:
    facts = model.read_json("predictor.json")
    again = kind_of(facts, facts["settings"], where="here").score(list(metrics.predictions()))
    assert again["metrics"] == metrics.read_json("metrics.json")["metrics"]


def test_a_models_answers_are_scored_as_torchmetrics_and_the_script_of_squad_2_do(metrics: Metrics) -> None:
    squad = pytest.importorskip("torchmetrics.functional.text").squad
    lines, found = metrics.predictions(), metrics.read_json("metrics.json")["metrics"]

    def theirs(text: str, gold: list[str]) -> np.ndarray:
        answers = {"text": gold, "answer_start": [0] * len(gold)}
        scores = squad({"id": "1", "prediction_text": text}, {"id": "1", "answers": answers})
        return np.array([float(scores["exact_match"]), float(scores["f1"])]) / 100

    said = [
        theirs(line["predicted"], line["gold"]) if line["predicted"] else np.zeros(2) for line in lines if line["gold"]
    ]
    silent = [np.full(2, line["predicted"] == "") for line in lines if not line["gold"]]
    for name, scores in (("has_answer_", said), ("no_answer_", silent), ("", said + silent)):
        assert (found[f"{name}exact_match"], found[f"{name}f1"]) == pytest.approx(
            tuple(np.mean(scores, axis=0)), abs=1e-6
        )
    # The script begins with silence and lets the surest speak, one question after the other.
    now = best = np.full(2, sum(not line["gold"] for line in lines), float)
    for line in sorted(lines, key=lambda line: -line["n_best"][0]["score"]):
        now = now + (theirs(line["n_best"][0]["text"], line["gold"]) if line["gold"] else -1)
        best = np.maximum(best, now)
    assert (found["best_exact_match"], found["best_f1"]) == pytest.approx(tuple(best / len(lines)), abs=1e-6)


def test_the_saved_folder_gives_the_same_answers_as_exact_spans(model: Model, data: TaskData, metrics: Metrics) -> None:
    rows = data.rows("validation")
    given = [{"id": row["id"], "question": row["question"], "context": row["context"]} for row in rows]
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    expected = {line["id"]: line for line in metrics.predictions()}
    for row, line in zip(given, predictor.predict(given, batch_size=7), strict=True):
        assert line["predicted"] == expected[row["id"]]["predicted"]
        assert "gold" not in line
        for span in line["n_best"]:
            assert row["context"][span["start"] : span["end"]] == span["text"]


def test_passages_are_ranked_by_one_score(model: Model) -> None:
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    passages = ["it rained and it rained again .", "anna is in the tower . it rained", "then boris is in the garden ."]
    (together,) = predictor.predict([{"question": "where is anna ?", "context": passages}])
    alone = [predictor.predict([("where is anna ?", passage)])[0] for passage in passages]
    assert together["score"] == pytest.approx(max(line["score"] for line in alone), abs=1e-4)
    assert together["n_best"][0]["passage"] == int(np.argmax([line["score"] for line in alone]))
    scores = [span["score"] for span in together["n_best"]]
    assert scores == sorted(scores, reverse=True)
    for span in together["n_best"]:
        assert passages[span["passage"]][span["start"] : span["end"]] == span["text"]


@pytest.mark.parametrize("context", [[], ["fine", " "], ["fine", 3], "", None])
def test_a_question_without_context_is_refused(model: Model, context: object) -> None:
    with pytest.raises(DataError, match="input 1"):
        Predictor.load(model.path, device="cpu", num_threads=1).predict([{"question": "who ?", "context": context}])


def test_a_span_in_two_windows_counts_once_by_its_better_score(start: Checkpoint) -> None:
    kind = kind_of({"kind": "spans", "scorer": "squad"}, SETTINGS | {"no_answer_threshold": 0.0}, where="here")
    context = " ".join(["rained", "again"] * 12)
    row = {"id": "1", "question": "who ?", "context": context}
    encoded = kind.encode(start.path, [row])
    assert len(encoded) > 1
    rng = np.random.default_rng(0)
    outputs = [{f"{side}_logits": rng.normal(size=24) for side in ("start", "end")} for _ in range(len(encoded))]
    (line,) = kind.predictions(outputs, encoded, [row])
    places = {}
    for window, output in enumerate(outputs):
        begin, first = encoded.begin(window), int(encoded.first[window])
        none = output["start_logits"][0] + output["end_logits"][0]
        for i in range(first, int(encoded.last[window])):
            for j in range(i, min(i + 4, int(encoded.last[window]))):
                own = output["start_logits"][begin + i - first] + output["end_logits"][begin + j - first] - none
                span = int(encoded.passages[0].starts[i]), int(encoded.passages[0].ends[j])
                places[span] = max(places.get(span, -np.inf), own)
    expected = sorted(places.items(), key=lambda one: -one[1])[:5]
    assert [(span["start"], span["end"]) for span in line["n_best"]] == [span for span, _ in expected]
    assert [span["score"] for span in line["n_best"]] == pytest.approx([own for _, own in expected])
    assert line["predicted"] != ""  # where every question has an answer, silence is none


def test_a_loss_that_spans_do_not_read_is_refused(start, data, tmp_path) -> None:
    with pytest.raises(ConfigError, match="label_smoothing"):
        run(finetune, FinetuneConfig, tmp_path / "out", "loss.type=focal", "max_seq_length=24", data=data, start=start)


def test_wrong_offsets_stop_the_stage_unless_repair_is_asked_for(tmp_path: Path) -> None:
    content = questions(20, seed=3, unanswerable=False)
    content["data"][0]["paragraphs"][4]["qas"][0]["answers"][0]["answer_start"] += 2
    (tmp_path / "train.json").write_text(json.dumps(content), encoding="utf-8")
    source = ["source.format=squad", f"source.train={tmp_path / 'train.json'}", "validation_percentage=30"]
    with pytest.raises(DataError, match="1 of 20 questions"):
        run(task_data, TaskDataConfig, tmp_path / "refused", *source)
    repaired = run(task_data, TaskDataConfig, tmp_path / "repaired", *source, "source.repair_answers=true")
    assert repaired.task["changed"]["train"] == {"answer moved to where it stands": 1}
    assert repaired.task["scorer"] == "squad"


def test_windows_without_a_known_answer_have_no_loss_and_are_scored_all_the_same(
    start: Checkpoint, tmp_path: Path
) -> None:
    """Answers that stand nowhere in their context can be scored by, not learnt from."""
    content = {"train": questions(24, seed=1, unanswerable=False), "dev": questions(8, seed=2, unanswerable=False)}
    for paragraph in (*content["train"]["data"][0]["paragraphs"][1:], *content["dev"]["data"][0]["paragraphs"]):
        paragraph["qas"][0]["answers"] = [{"text": "the moon", "answer_start": 0}]
    for name, one in content.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(one), encoding="utf-8")
    files = [f"source.train={tmp_path / 'train.json'}", f"source.validation={tmp_path / 'dev.json'}"]
    options = ["source.format=squad", "source.repair_answers=true"]
    data = run(task_data, TaskDataConfig, tmp_path / "data", *options, *files)
    steps = ["max_seq_length=24", "train_batch_size=4", "max_steps=3", "logging_steps=1", "device=cpu", "num_threads=1"]
    steps += ["spans.doc_stride=6"]
    model = run(finetune, FinetuneConfig, tmp_path / "model", *steps, data=data, start=start)
    rows = [json.loads(line) for line in (model.path / "log.jsonl").read_text().splitlines()]
    assert any(row["loss"] == 0 and "window_accuracy" not in row for row in rows if "loss" in row)
    (measured,) = [row for row in rows if "eval_f1" in row]
    assert "eval_loss" not in measured
