"""The `evaluate.Metric` shells work as those of the Hub do, without it."""

import numpy as np
import pytest
import sklearn.metrics as sk

from bertkit.errors import ConfigError, DataError

GOLD, PREDICTED = [0, 1, 2, 2, 1, 0, 1], [0, 2, 2, 2, 1, 1, 1]


@pytest.fixture(scope="module")
def metrics():
    from bertkit.evaluation import hf_metrics

    return hf_metrics


def test_label_metrics_are_scikit_learns(metrics):
    assert metrics.load("accuracy").compute(predictions=PREDICTED, references=GOLD) == {
        "accuracy": pytest.approx(sk.accuracy_score(GOLD, PREDICTED))
    }
    assert metrics.load("matthews_correlation").compute(predictions=PREDICTED, references=GOLD) == {
        "matthews_correlation": pytest.approx(sk.matthews_corrcoef(GOLD, PREDICTED))
    }
    for average in ("macro", "micro", "weighted"):
        found = metrics.load("f1").compute(predictions=PREDICTED, references=GOLD, average=average)
        assert found == {"f1": pytest.approx(sk.f1_score(GOLD, PREDICTED, average=average))}
    for name, theirs in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        found = metrics.load(name).compute(predictions=PREDICTED, references=GOLD, average=None)
        assert found[name] == pytest.approx(list(theirs(GOLD, PREDICTED, average=None)))


def test_binary_metrics_are_of_the_positive_label(metrics):
    gold, predicted = [0, 1, 1, 0], [0, 1, 0, 0]
    assert metrics.load("recall").compute(predictions=predicted, references=gold) == {"recall": 0.5}
    assert metrics.load("precision").compute(predictions=predicted, references=gold, pos_label=0)[
        "precision"
    ] == pytest.approx(2 / 3)
    assert metrics.load("precision").compute(predictions=[0, 0], references=[0, 0]) == {"precision": None}


def test_probability_metrics(metrics):
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    gold = [0, 1, 2, 2] * 10

    def compute(name):
        return metrics.load(name).compute(predictions=rows.tolist(), references=gold)[name]

    assert compute("roc_auc") == pytest.approx(sk.roc_auc_score(gold, rows, multi_class="ovr"))
    assert compute("log_loss") == pytest.approx(sk.log_loss(gold, rows))
    assert 0 < compute("expected_calibration_error") < 1
    assert 0 < compute("brier_score") < 2


def test_metrics_combine_and_take_batches(metrics):
    import evaluate

    both = evaluate.combine([metrics.load("accuracy"), metrics.load("matthews_correlation")])
    for start in range(0, len(GOLD), 3):
        both.add_batch(predictions=PREDICTED[start : start + 3], references=GOLD[start : start + 3])
    assert both.compute() == {
        "accuracy": pytest.approx(sk.accuracy_score(GOLD, PREDICTED)),
        "matthews_correlation": pytest.approx(sk.matthews_corrcoef(GOLD, PREDICTED)),
    }


def test_mistakes_are_named(metrics):
    with pytest.raises(ConfigError, match="did you mean 'accuracy'"):
        metrics.load("acuracy")
    with pytest.raises(ConfigError, match="no average 'samples'"):
        metrics.load("f1").compute(predictions=[0], references=[0], average="samples")
    with pytest.raises(DataError, match="outside 0 to 1"):
        metrics.load("log_loss").compute(predictions=[[0.5, 0.5]], references=[2])


def test_metrics_of_numbers_and_of_several_labels(metrics):
    import scipy.stats

    gold, predicted = [1.0, 2.0, 2.0, 5.0], [1.5, 1.0, 3.0, 4.0]
    for name, theirs in (("pearson", scipy.stats.pearsonr), ("spearmanr", scipy.stats.spearmanr)):
        found = metrics.load(name).compute(predictions=predicted, references=gold)
        assert found == {name: pytest.approx(theirs(gold, predicted)[0])}
        assert metrics.load(name).compute(predictions=[1.0, 1.0], references=[1.0, 2.0]) == {name: None}
    assert metrics.load("mse").compute(predictions=predicted, references=gold) == {"mse": pytest.approx(0.8125)}
    with pytest.raises(DataError, match="NaN"):
        metrics.load("mse").compute(predictions=[float("nan")], references=[1.0])

    flags, guesses = [[1, 0, 1], [0, 1, 0], [1, 1, 0]], [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    for average in ("micro", "macro", "samples"):
        found = metrics.load("multilabel_f1").compute(predictions=guesses, references=flags, average=average)
        assert found == {"f1": pytest.approx(sk.f1_score(flags, guesses, average=average, zero_division=0))}
    for name, theirs in (("subset_accuracy", sk.accuracy_score), ("hamming_loss", sk.hamming_loss)):
        found = metrics.load(name).compute(predictions=guesses, references=flags)
        assert found == {name: pytest.approx(theirs(np.array(flags), np.array(guesses)))}
    scores = [[0.9, 0.2, 0.4], [0.1, 0.8, 0.5], [0.3, 0.7, 0.6]]
    assert metrics.load("average_precision").compute(predictions=scores, references=flags) == {
        "average_precision": pytest.approx(sk.average_precision_score(flags, scores, average="macro"))
    }


@pytest.mark.filterwarnings("ignore")
def test_entities_are_seqevals(metrics):
    from seqeval.metrics import classification_report

    gold = [["B-PER", "I-PER", "O"], ["O", "B-LOC"], ["B-PER", "O"]]
    said = [["B-PER", "I-PER", "O"], ["O", "B-PER"], ["B-PER", "B-LOC"]]
    found = metrics.load("seqeval").compute(predictions=said, references=gold)
    report = classification_report(gold, said, output_dict=True, zero_division=0)
    for name in ("PER", "LOC"):
        theirs = {"precision": report[name]["precision"], "recall": report[name]["recall"]}
        assert found[name] == pytest.approx(
            {**theirs, "f1": report[name]["f1-score"], "number": report[name]["support"]}
        )
    overall = [found[f"overall_{name}"] for name in ("precision", "recall", "f1", "accuracy")]
    assert overall == pytest.approx(
        [*(report["micro avg"][name] for name in ("precision", "recall", "f1-score")), 5 / 7]
    )
    nothing = metrics.load("seqeval").compute(predictions=[["O"]], references=[["O"]])
    assert (nothing["overall_f1"], nothing["overall_accuracy"]) == (None, 1.0)


def answers(rng, count):
    """Questions with and without an answer, what was said to them, and how likely it is that there is none."""
    texts = ["red boat", "the boat", "a red car", "car"]
    said = [
        {"id": str(i), "prediction_text": str(rng.choice(["", *texts])), "no_answer_probability": float(rng.random())}
        for i in range(count)
    ]
    golds = [[str(text) for text in rng.choice(texts, rng.integers(0, 3))] for _ in range(count)]
    return said, [{"id": str(i), "answers": {"text": g, "answer_start": [0] * len(g)}} for i, g in enumerate(golds)]


def test_answers_are_torchmetrics(metrics):
    squad = pytest.importorskip("torchmetrics.functional.text").squad
    said, gold = answers(np.random.default_rng(0), 60)
    kept = [i for i, one in enumerate(gold) if one["answers"]["text"] and said[i]["prediction_text"]]
    said, gold = (
        [{k: v for k, v in rows[i].items() if k != "no_answer_probability"} for i in kept] for rows in (said, gold)
    )
    found = metrics.load("squad").compute(predictions=said, references=gold[::-1])
    theirs = squad(said, gold)
    assert found == pytest.approx({name: float(theirs[name]) for name in ("exact_match", "f1")}, abs=1e-4)
    with pytest.raises(DataError, match="not of the same questions"):
        metrics.load("squad").compute(predictions=said[1:], references=gold[1:-1] + gold[:1])


def script_of_squad_2(said, gold, threshold):
    """Its figures, question by question; of answers without articles and signs."""

    def words(text):
        return [word for word in text.split() if word not in ("a", "the")]

    def scores(text, golds):
        pairs = [(words(text), words(one)) for one in golds or [""]]
        same = [sum(min(a.count(word), b.count(word)) for word in set(a)) for a, b in pairs]
        f1 = [
            float(a == b) if not a or not b else 2 * n / (len(a) + len(b))
            for (a, b), n in zip(pairs, same, strict=True)
        ]
        return float(any(a == b for a, b in pairs)), max(f1)

    lines = [
        (s["no_answer_probability"], s["prediction_text"], g["answers"]["text"])
        for s, g in zip(said, gold, strict=True)
    ]
    figures = {}
    for place, name in enumerate(("exact", "f1")):
        raw = [scores(text, golds)[place] for _, text, golds in lines]
        kept = [float(not golds) if p > threshold else one for one, (p, _, golds) in zip(raw, lines, strict=True)]
        for prefix, of in (("", (True, False)), ("HasAns_", (True,)), ("NoAns_", (False,))):
            chosen = [one for one, (_, _, golds) in zip(kept, lines, strict=True) if bool(golds) in of]
            figures |= {f"{prefix}{name}": 100 * sum(chosen) / len(chosen), f"{prefix}total": len(chosen)}
        now = best = sum(not golds for _, _, golds in lines)
        at = 0.0
        for own, (p, text, golds) in sorted(zip(raw, lines, strict=True), key=lambda pair: pair[1][0]):
            now += own if golds else -1 if text else 0
            if now > best + 1e-9:
                best, at = now, p
        figures |= {f"best_{name}": 100 * best / len(lines), f"best_{name}_thresh": at}
    return figures


@pytest.mark.parametrize("threshold", [1.0, 0.4])
def test_figures_of_squad_2_are_its_scripts(metrics, threshold):
    for seed in range(8):
        said, gold = answers(np.random.default_rng(seed), 25)
        found = metrics.load("squad_v2").compute(predictions=said, references=gold, no_answer_threshold=threshold)
        assert found == pytest.approx(script_of_squad_2(said, gold, threshold), abs=1e-9)
