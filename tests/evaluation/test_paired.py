"""Resampled metrics of every kind agree with their scores, and comparisons pair the same rows."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from bertkit.errors import DataError
from bertkit.evaluation import classification, multilabel, regression, spans, tagging
from bertkit.evaluation.metric_sums import is_known
from bertkit.evaluation.paired import interval_over_seeds, measure_of, paired_metric_difference

TAGS = [["B-X", "I-X", "O"], ["O", "B-Y", "O"], ["B-Y", "O", "B-X"]] * 8
WRONG = [["B-X", "O", "O"], ["O", "B-Y", "O"], ["O", "O", "B-X"]] * 8


def tagged(predicted):
    return [{"id": str(i), "gold": g, "predicted": p} for i, (g, p) in enumerate(zip(TAGS, predicted, strict=True))]


def test_undrawn_metrics_are_the_scores():
    once = np.ones((1, 24), np.int64)
    rows = tagged(WRONG)
    for metric in ("f1", "precision", "recall"):
        found = measure_of({"kind": "tagging"}, rows, metric)(once)[0]
        assert found == pytest.approx(tagging.score(rows)["metrics"][metric], abs=1e-12)
    answers = [{"id": str(i), "gold": ["the red car"], "predicted": said, "n_best": []} for i, said in
               enumerate(["red car", "car", "boat"] * 8)]  # fmt: skip
    for metric in ("f1", "exact_match"):
        found = measure_of({"kind": "spans", "scorer": "squad"}, answers, metric)(once)[0]
        assert found == pytest.approx(spans.score(answers, scorer="squad")["metrics"][metric], abs=1e-12)
    numbers = [{"id": str(i), "gold": float(i), "predicted": float(i * 7 % 24)} for i in range(24)]
    found = measure_of({"kind": "classification", "labels": []}, numbers, "spearmanr")(once)[0]
    assert found == pytest.approx(regression.score(numbers)["metrics"]["spearmanr"], abs=1e-12)


def test_a_better_system_is_told_whatever_the_order_of_its_rows():
    found = paired_metric_difference([tagged(TAGS)[::-1]], [tagged(WRONG)], "f1", {"kind": "tagging"})
    assert found.first == 1.0
    assert found.significant
    assert found.difference == pytest.approx(1 - tagging.score(tagged(WRONG))["metrics"]["f1"])


def test_other_rows_are_refused_and_one_system_does_not_differ_from_itself():
    with pytest.raises(DataError, match="same examples"):
        paired_metric_difference([tagged(TAGS)], [tagged(TAGS)[1:]], "f1", {"kind": "tagging"})
    found = paired_metric_difference([tagged(WRONG)], [tagged(WRONG)], "f1", {"kind": "tagging"})
    assert (found.difference, found.p_value) == (0.0, 1.0)
    low, high = interval_over_seeds([tagged(WRONG), tagged(WRONG)], "f1", {"kind": "tagging"})
    assert low < found.first < high


# --- against scipy ----------------------------------------------------------------------------------------------

BINARY: dict[str, Any] = {"kind": "classification", "labels": ["no", "yes"]}
SETS: dict[str, Any] = {"kind": "classification", "labels": ["a", "b", "c"]}


def labelled(predicted, gold):
    names = BINARY["labels"]
    return [
        {"id": str(i), "gold": names[g], "predicted": names[p], "scores": {"no": 1.0 - p, "yes": float(p)}}
        for i, (p, g) in enumerate(zip(predicted, gold, strict=True))
    ]


def case(kind):
    """Gold and the two systems' answers to ten rows, of a kind of task: the second system is a little worse."""
    generator = np.random.default_rng(5)
    if kind == "labels":
        gold = [1, 0, 1, 1, 0, 1, 0, 1, 1, 0]
        return BINARY, labelled([1, 0, 1, 1, 0, 1, 1, 1, 0, 0], gold), labelled([0, 0, 1, 0, 1, 0, 1, 1, 0, 0], gold)
    if kind == "tags":
        return {"kind": "tagging"}, tagged(TAGS)[:10], tagged(WRONG)[:10]
    if kind == "answers":
        said = ["the red car", "red boat", "car", "", "a red car"] * 2
        both = [
            [{"id": str(i), "gold": ["the red car"], "predicted": text, "n_best": []} for i, text in enumerate(texts)]
            for texts in (said, ["red", "boat", "", "car", "red car"] * 2)
        ]
        return {"kind": "spans", "scorer": "squad"}, *both
    if kind == "sets":
        sets = [
            [label for label, drawn in zip("abc", row, strict=True) if drawn] for row in generator.random((30, 3)) < 0.5
        ]
        both = [
            [
                {"id": str(i), "gold": g, "predicted": p, "scores": {label: float(label in p) for label in "abc"}}
                for i, (g, p) in enumerate(zip(sets[:10], sets[start : start + 10], strict=True))
            ]
            for start in (10, 20)
        ]
        return SETS, *both
    gold = generator.normal(size=10)
    noisy = [gold + generator.normal(size=10) * scale for scale in (0.3, 2.0)]
    both = [
        [{"id": str(i), "gold": g, "predicted": p} for i, (g, p) in enumerate(zip(gold, one, strict=True))]
        for one in noisy
    ]
    return {"kind": "classification", "labels": []}, *both


def scored(scores, rows, metric):
    """The metric by the functions that score predictions."""
    rows = [{**row, "id": str(i)} for i, row in enumerate(rows)]
    match scores["kind"], rows[0]["gold"]:
        case "tagging", _:
            found = tagging.score(rows)
        case "spans", _:
            found = spans.score(rows, scorer="squad")
        case _, list():
            found = multilabel.score(rows, scores["labels"])
        case _, float():
            found = regression.score(rows)
        case _:
            found = classification.score(rows, scores["labels"])
    return found["metrics"][metric]


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        *(("labels", name) for name in ("f1", "matthews_correlation", "macro_f1", "weighted_f1", "micro_f1")),
        *(("tags", name) for name in ("f1", "precision")),
        *(("answers", name) for name in ("f1", "exact_match")),
        *(("sets", name) for name in ("micro_f1", "macro_f1", "samples_f1", "subset_accuracy", "hamming_loss")),
        *(("numbers", name) for name in ("pearson", "spearmanr")),
    ],
)
def test_p_values_are_scipys_exact_ones(kind, metric):
    scores, first, second = case(kind)
    found = paired_metric_difference([first], [second], metric, scores, count=20_000)
    assert found.first == pytest.approx(scored(scores, first, metric))
    assert found.second == pytest.approx(scored(scores, second, metric))

    def difference(one, other):
        # Rows change sides whole; of numbers, what the correlation is made of.
        sides = [[pool[int(place)] for place in side] for side in (one, other)]
        return scored(scores, sides[0], metric) - scored(scores, sides[1], metric)

    if kind == "numbers":
        gold = np.array([row["gold"] for row in first])
        said = [np.array([row["predicted"] for row in rows]) for rows in (first, second)]
        if metric == "spearmanr":
            gold, said = stats.rankdata(gold), [stats.rankdata(one) for one in said]

        def difference(one, other):
            return stats.pearsonr(gold, one)[0] - stats.pearsonr(gold, other)[0]

        places = [stats.zscore(one) for one in said]
    else:
        pool = [*first, *second]
        places = [np.arange(10), np.arange(10, 20)]
    exact = stats.permutation_test(
        places, difference, permutation_type="samples", vectorized=False, n_resamples=np.inf, alternative="two-sided"
    )
    assert found.difference == pytest.approx(exact.statistic)
    # scipy doubles the smaller tail; the test is of the size of the difference, whose distribution is symmetric.
    assert found.p_value == pytest.approx(exact.pvalue, abs=0.015)


def test_the_interval_is_that_of_resampled_rows():
    scores, first, second = BINARY, *(labelled(*_drawn(200, seed, 0.2)) for seed in (1, 1))
    second = labelled(_drawn(200, 2, 0.35)[0], [BINARY["labels"].index(row["gold"]) for row in first])
    found = paired_metric_difference([first], [second], "f1", scores)
    generator, differences = np.random.default_rng(0), []
    for _ in range(1000):
        places = generator.integers(0, 200, 200)
        one, other = ([{**rows[i], "id": str(n)} for n, i in enumerate(places)] for rows in (first, second))
        differences.append(_f1(one) - _f1(other))
    low, high = np.quantile(differences, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.015)


def _drawn(n, seed, share):
    generator = np.random.default_rng(seed)
    gold = (np.arange(n) % 3 == 0).astype(int)
    return [int(g != (generator.random() < share)) for g in gold], gold.tolist()


def _f1(rows):
    right = sum(row["gold"] == row["predicted"] == "yes" for row in rows)
    return 2 * right / sum((row["gold"] == "yes") + (row["predicted"] == "yes") for row in rows)


def test_seeds_are_averaged_and_need_not_be_as_many():
    scores, first, second = case("labels")
    third = [{**row, "predicted": "no"} if row["id"] == "0" else row for row in first]
    found = paired_metric_difference([first, third], [second], "f1", scores)
    assert found.first == pytest.approx((_f1(first) + _f1(third)) / 2)
    assert found.second == pytest.approx(_f1(second))
    again = paired_metric_difference([first, third], [second, second], "f1", scores)
    assert (again.difference, again.p_value) == pytest.approx((found.difference, found.p_value))
    assert found == paired_metric_difference([first, third], [second], "f1", scores)


def test_p_values_of_f1_are_uniform_where_there_is_no_difference():
    generator, values = np.random.default_rng(3), []
    gold = (np.arange(120) % 3 == 0).astype(int)
    for trial in range(200):
        first, second = ((gold != (generator.random(120) < 0.2)).astype(int) for _ in range(2))
        rows = labelled(first, gold), labelled(second, gold)
        values.append(paired_metric_difference([rows[0]], [rows[1]], "f1", BINARY, count=400, seed=trial).p_value)
    assert 0.01 <= np.mean(np.array(values) <= 0.05) <= 0.10
    assert 0.4 <= np.mean(values) <= 0.65


def test_every_tasks_own_metric_is_known():
    rows = {kind: case(kind)[1] for kind in ("labels", "tags", "answers", "sets", "numbers")}
    own = {
        "labels": ("accuracy", "f1", "matthews_correlation"),
        "sets": ("micro_f1",),
        "numbers": ("spearmanr", "pearson"),
    }
    for kind, found in rows.items():
        for metric in own.get(kind, ("f1",)):
            assert is_known(case(kind)[0]["kind"], found, metric)
    assert not is_known("classification", rows["labels"], "roc_auc")
    with pytest.raises(DataError, match="roc_auc"):
        paired_metric_difference([rows["labels"]], [rows["labels"]], "roc_auc", BINARY)
