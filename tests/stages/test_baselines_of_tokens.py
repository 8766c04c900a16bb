"""Baselines tag tokens and find answers: trained over words, scored, and asked again from their folder."""

import json
import random
from pathlib import Path

import pytest
from stage_runs import run

from bertkit.artifacts import Metrics, Model, TaskData
from bertkit.errors import ConfigError
from bertkit.predictor import Predictor
from bertkit.stages.evaluate import EvaluateConfig, evaluate
from bertkit.stages.finetune import FinetuneConfig, finetune
from bertkit.stages.task_data import TaskDataConfig, task_data

SMALL = [
    *("max_seq_length=24", "train_batch_size=16", "learning_rate=1e-2", "device=cpu", "num_threads=1"),
    *("warmup_steps=0", "dropout=0.1", "model.backbone=rnn", "model.rnn.hidden_size=24", "model.embeddings.size=24"),
]
PLACES = ["harbour", "island", "kitchen", "tower", "garden"]
NAMES = ["Anna", "Boris", "Clara", "Dora"]
FILLERS = ["and", "then", "it", "rained", "again"]


def scored(folder: Path, model: Model, data: TaskData) -> Metrics:
    made: Metrics = run(evaluate, EvaluateConfig, folder, "device=cpu", "num_threads=1", model=model, data=data)
    return made


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Names are words with a capital, most of them seen once: their spelling tells."""
    folder, rng = tmp_path_factory.mktemp("names"), random.Random(0)
    lines = []
    for _ in range(150):
        for _ in range(rng.randint(2, 8)):
            if rng.random() < 0.3:
                word = "".join(rng.choices("abcdefg", k=5)).capitalize()
                lines.append(f"{word} B-PER")
            else:
                lines.append(f"{''.join(rng.choices('abcdefg', k=5))} O")
        lines.append("")
    (folder / "train.conll").write_text("\n".join(lines) + "\n")
    source = ["source.format=conll", f"source.train={folder / 'train.conll'}", "validation_percentage=30"]
    made: TaskData = run(task_data, TaskDataConfig, folder / "task", *source)
    return made


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_words_never_seen_are_tagged_by_their_spelling(head: str, names: TaskData, tmp_path: Path) -> None:
    options = [*SMALL, f"tagging.head={head}", "max_steps=80", "model.words.min_count=2", "eval_steps=40"]
    spelling = ["model.characters.size=8", "model.characters.num_filters=16", "model.characters.max_bytes=4"]
    model = run(finetune, FinetuneConfig, tmp_path / "m", *options, *spelling, data=names)
    facts = model.read_json("predictor.json")
    assert facts["unknown_share"]["validation"] > 0.9
    assert facts["encoded"]["train"]["cut_spellings"] > 100
    assert facts["name"] == ("BiLSTM-CRF" if head == "crf" else "BiLSTM")
    metrics = scored(tmp_path / "e", model, names)
    assert metrics.read_json("metrics.json")["metrics"]["f1"] > 0.8
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    line = metrics.predictions()[0]
    assert predictor.predict([{"tokens": line["tokens"]}])[0]["predicted"] == line["predicted"]
    [found] = predictor.predict(["abc Fedda gab"])
    assert [entity["text"] for entity in found["entities"]] == ["Fedda"]


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """`Anna is in the harbour` among others who are elsewhere."""
    folder, rng = tmp_path_factory.mktemp("questions"), random.Random(0)
    paragraphs = []
    for number in range(400):
        parts = []
        for name in rng.sample(NAMES, 2):
            parts.append(f"{name} is in the {rng.choice(PLACES)} {' '.join(rng.choices(FILLERS, k=rng.randint(0, 3)))}")
        context = ". ".join(part.strip() for part in parts) + "."
        asked = rng.choice([name for name in NAMES if name in context])
        begin = context.index("the ", context.index(asked)) + 4
        answer = context[begin:].split()[0].strip(".")
        qas = {
            "id": str(number),
            "question": f"Where is {asked}?",
            "answers": [{"text": answer, "answer_start": begin}],
        }
        paragraphs.append({"context": context, "qas": [qas]})
    (folder / "train.json").write_text(json.dumps({"data": [{"title": "made up", "paragraphs": paragraphs}]}))
    source = ["source.format=squad", f"source.train={folder / 'train.json'}", "validation_percentage=20"]
    made: TaskData = run(task_data, TaskDataConfig, folder / "task", *source)
    return made


def test_answers_are_found_by_their_question(questions: TaskData, tmp_path: Path) -> None:
    spans = ["spans.doc_stride=6", "spans.max_query_length=8", "spans.max_answer_length=3", "spans.n_best_size=3"]
    options = [*SMALL, "max_steps=100", "eval_steps=50", "learning_rate=2e-2"]
    model = run(finetune, FinetuneConfig, tmp_path / "m", *options, *spans, data=questions)
    metrics = scored(tmp_path / "e", model, questions)
    assert metrics.read_json("metrics.json")["metrics"]["f1"] > 0.8
    predictor = Predictor.load(model.path, device="cpu", num_threads=1)
    context = "Dora is in the tower and then. Boris is in the island."
    asked = [{"question": f"Where is {name}?", "context": context} for name in ("Dora", "Boris")]
    assert [line["predicted"] for line in predictor.predict(asked)] == ["tower", "island"]


def test_spellings_are_for_tagging(questions: TaskData, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.characters is for tagging"):
        run(finetune, FinetuneConfig, tmp_path / "m", *SMALL, "model.characters.size=8", data=questions)


def test_no_special_token_is_a_word_with_a_vector(tmp_path: Path) -> None:
    """Padding would be a token of the text, and what is unknown a word among others."""
    sentences = [f"[UNK] O\nRome B-A\n[PAD] O\nw{i} O\n" for i in range(20)]
    (tmp_path / "train.conll").write_text("\n".join(sentences))
    (tmp_path / "v.txt").write_text("[UNK] 1 2\n[PAD] 3 4\nRome 5 6\n")
    source = ["source.format=conll", f"source.train={tmp_path / 'train.conll'}", "validation_percentage=30"]
    data = run(task_data, TaskDataConfig, tmp_path / "task", *source)
    vectors = [f"model.embeddings.vectors_file={tmp_path / 'v.txt'}", "model.embeddings.size=2"]
    options = [*SMALL, *vectors, "model.words.lowercase=false", "max_steps=2"]
    model = run(finetune, FinetuneConfig, tmp_path / "m", *options, data=data)
    assert model.read_json("predictor.json")["words_with_vector"] == 1
    words = json.loads((model.path / "tokenizer.json").read_text())["model"]["vocab"]
    assert words["[UNK]"] == 0
    assert "[PAD]" not in words


def test_pooling_is_for_texts(questions: TaskData, names: TaskData, tmp_path: Path) -> None:
    """Unread, its parameters would get no gradient, at which several processes stop."""
    for number, data in enumerate((questions, names)):
        with pytest.raises(ConfigError, match=r"model\.rnn\.pooling: makes one vector of a text"):
            run(finetune, FinetuneConfig, tmp_path / str(number), *SMALL, "model.rnn.pooling=attention", data=data)
    with pytest.raises(ConfigError, match=r"model\.textcnn\.k, model\.textcnn\.pooling: makes one vector"):
        kmax = ["model.textcnn.pooling=kmax", "model.textcnn.k=2"]
        run(finetune, FinetuneConfig, tmp_path / "k", "model.backbone=textcnn", *kmax, data=names)


def test_chinese_text_is_tagged_by_its_characters(tmp_path: Path) -> None:
    """Units of the data, characters, are no matter of the units that the network reads, which are words."""
    rng, lines = random.Random(0), []
    for _ in range(120):
        for _ in range(rng.randint(2, 5)):
            lines += ["北 B-LOC", "京 I-LOC"] if rng.random() < 0.4 else [f"{rng.choice('我你他去来的')} O"]
        lines.append("")
    (tmp_path / "train.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = ["source.format=conll", f"source.train={tmp_path / 'train.conll'}", "validation_percentage=30"]
    data = run(task_data, TaskDataConfig, tmp_path / "task", *source)
    model = run(finetune, FinetuneConfig, tmp_path / "m", *SMALL, "max_steps=40", "tagging.head=crf", data=data)
    facts = model.read_json("predictor.json")
    assert (facts["units"], facts["input_units"]) == ("characters", "words")
    assert scored(tmp_path / "e", model, data).read_json("metrics.json")["metrics"]["f1"] > 0.9
    [found] = Predictor.load(model.path, device="cpu", num_threads=1).predict(["我去北京的"])
    assert [(entity["text"], entity["start"]) for entity in found["entities"]] == [("北京", 2)]
