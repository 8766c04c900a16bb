"""One table of every model: what it says of each against the best."""

from bertkit.reporting import markdown_page, overview, page, score_tables
from bertkit.reporting.collect import collect

GOLD = [0, 1, 2] * 20


def wrong_in(count):
    return [(g + 1) % 3 if i < count else g for i, g in enumerate(GOLD)]


def test_marks_tell_what_chance_can_explain(make):
    runs = [make.metrics(wrong_in(n), GOLD, name=name) for name, n in (("good", 3), ("near", 4), ("poor", 40))]
    task = collect(runs)["tasks"][0]
    assert [overview.against_best(task, system) for system in task["systems"]] == [
        overview.BEST,
        overview.LEVEL,
        overview.WORSE,
    ]
    # 60 texts in 1.2 seconds.
    assert overview.speed(task, task["systems"][0]) == "50"
    assert score_tables.scores(task).rows[0].cells[-1] == "50"


def test_a_table_of_all_tasks_and_models_stands_first(make):
    runs = [
        make.metrics(wrong_in(n), GOLD, name=name, task=task)
        for task in ("one", "two")
        for name, n in (("BERT", 3), ("bag", 30))
    ]
    report = collect(runs)
    found = overview.table(report)
    assert [row.cells[:2] for row in found.rows] == [["one", "BERT"], ["one", "bag"], ["two", "BERT"], ["two", "bag"]]
    for text in (page.render(report), markdown_page.render(report)):
        assert text.index("Every model on every task") < text.index("one, 60 test texts")


def test_one_task_needs_no_overview(make):
    assert overview.table(collect([make.metrics(GOLD, GOLD)])) is None


def test_a_mark_by_another_metric_says_so_and_which_way_it_points(make):
    gold = [0] * 900 + [1] * 100
    timid, eager = [0] * 1000, [0] * 700 + [1] * 300
    runs = [
        make.metrics(said, gold, name=name, labels=["no", "yes"], primary="roc_auc")
        for name, said in (("timid", timid), ("eager", eager))
    ]
    task = collect(runs)["tasks"][0]
    # Eager finds every yes; timid is right more often.
    assert {s["model"]: overview.against_best(task, s) for s in task["systems"]} == {
        "eager": overview.BEST,
        "timid": "better, by accuracy",
    }
