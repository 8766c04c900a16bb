"""What the report claims, and what it must not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertkit.evaluation.intervals import paired_difference
from bertkit.reporting import comparisons, overview, score_tables
from bertkit.reporting.collect import collect

GOLD = [0, 1, 2] * 40


def wrong(count):
    return [(g + 1) % 3 if i < count else g for i, g in enumerate(GOLD)]


def compared(make, pretrained_wrong, random_wrong, *, learning_rate=1e-4):
    """The first task of a report on a pretrained and a random model with so many mistakes."""
    a = make.model("pretrained", init="pretrained")
    b = make.model("random", init="random", learning_rate=learning_rate)
    metrics = [
        make.metrics(wrong(pretrained_wrong), GOLD, name="pretrained", model=a),
        make.metrics(wrong(random_wrong), GOLD, name="random", model=b),
    ]
    return collect(metrics, models=[a, b])["tasks"][0]


@pytest.mark.parametrize(
    ("pretrained", "random", "claim"),
    [
        (6, 60, "Pretraining bought +45.0 points of accuracy"),
        (60, 6, "Pretraining cost 45.0 points of accuracy"),
        (13, 12, "Pretraining made no difference that 120 test texts can show"),
    ],
)
def test_pretraining_is_credited_with_what_it_did(make, pretrained, random, claim):
    task = compared(make, pretrained, random)
    assert task["headlines"][0]["claim"] == claim
    assert task["comparisons"][0]["varied"] == ["init"]


def test_what_pretraining_did_is_said_first_also_where_neither_of_the_two_is_best(make):
    a, b = make.model("pretrained", init="pretrained"), make.model("random", init="random")
    metrics = [
        make.metrics(wrong(0), GOLD, name="best"),
        make.metrics(wrong(13), GOLD, name="pretrained", model=a),
        make.metrics(wrong(60), GOLD, name="random", model=b),
    ]
    task = collect(metrics, models=[a, b])["tasks"][0]
    assert [said["claim"] for said in task["headlines"]] == [
        "Pretraining bought +39.2 points of accuracy",
        "best scored 10.8 points of accuracy above pretrained",
    ]
    assert [(one["first"], one["second"]) for one in task["comparisons"]] == [
        ("best", "pretrained"),
        ("best", "random"),
        ("pretrained", "random"),
    ]


def test_a_gain_is_not_pretrainings_when_something_else_differs_too(make):
    task = compared(make, 6, 60, learning_rate=1e-3)
    assert task["headlines"][0]["claim"] == "pretrained scored 45.0 points of accuracy above random"
    assert score_tables.comparisons(task).rows[0].cells[-1] == "init, learning_rate"


def test_an_unknown_recipe_is_said_to_be_unknown(make):
    metrics = [make.metrics(wrong(n), GOLD, name=name) for n, name in ((6, "a"), (60, "b"))]
    task = collect(metrics)["tasks"][0]
    assert task["headlines"][0]["claim"] == "a scored 45.0 points of accuracy above b"
    assert score_tables.comparisons(task).rows[0].cells[-1] == "not known"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.sampled_from(["a", "b", "both", "none"]), min_size=2, max_size=60))
def test_no_gain_is_claimed_when_the_interval_includes_zero_or_chance_would_do_as_well(flips):
    def rows(name):
        return [
            {"id": str(i), "gold": "x", "predicted": "y" if flip in (name, "both") else "x"}
            for i, flip in enumerate(flips)
        ]

    found = paired_difference([rows("a")], [rows("b")], count=500)
    claim = comparisons._claim(found, "A", "B", None, "60 test texts", "accuracy")
    assert ("above" in claim) == ((found.low > 0 or found.high < 0) and found.p_value <= 0.05)


def test_models_scored_on_other_texts_are_not_compared(make):
    metrics = [make.metrics(GOLD, GOLD, name="a"), make.metrics(GOLD[:30], GOLD[:30], name="b")]
    task = collect(metrics)["tasks"][0]
    table = score_tables.comparisons(task)
    assert table.rows[0].cells[1:4] == ["–"] * 3
    assert any("cannot be compared" in note for note in table.notes)
    assert "above" not in task["headlines"][0]["claim"]


def test_a_model_that_has_learnt_nothing_is_named(make):
    constant = [0] * len(GOLD)
    metrics = [make.metrics(GOLD, GOLD, name="good"), make.metrics(constant, GOLD, name="constant")]
    (warning,) = collect(metrics)["tasks"][0]["warnings"]
    assert warning.startswith("constant is no better")
    assert "33.3" in warning
    assert warning.endswith("a comparison says little.")
    (alone,) = collect([metrics[1]])["tasks"][0]["warnings"]
    assert alone.endswith("of the texts).")


def test_one_model_is_headed_by_its_score(make):
    headline = collect([make.metrics(wrong(12), GOLD)])["tasks"][0]["headlines"][0]
    assert headline["claim"] == "90.0\u00a0% accuracy"
    assert "120 test texts" in headline["detail"]


def test_a_tasks_own_metric_decides_and_accuracy_only_where_that_cannot(make):
    gold = [0, 1] * 180
    # As accurate, yet only one of them finds what is asked for.
    shy = [0 if i < 180 else g for i, g in enumerate(gold)]
    bold = [1 if i < 180 else g for i, g in enumerate(gold)]

    def task(primary):
        runs = [
            make.metrics(said, gold, name=name, labels=["no", "yes"], primary=primary)
            for name, said in (("shy", shy), ("bold", bold))
        ]
        return collect(runs)["tasks"][0]

    found = task("f1")
    assert found["comparisons"][0]["metric"] == "f1"
    assert found["headlines"][0]["claim"] == "bold scored 13.3 points of F1 above shy"
    assert overview.against_best(found, found["systems"][1]) == overview.WORSE
    assert "points of F1" in score_tables.comparisons(found).columns[1].title
    found = task("roc_auc")
    assert found["comparisons"][0]["metric"] == "accuracy"
    assert overview.against_best(found, found["systems"][1]) == "within chance, by accuracy"
