"""Tagging and spans on the page: their own metric, comparison, types and mistakes."""

from bertkit.evaluation import spans, tagging
from bertkit.reporting import markdown_page, page
from bertkit.reporting.collect import collect

GOLD = ["B-LOC", "I-LOC", "O"]


def tags(right):
    return [
        {
            "id": str(i),
            "tokens": ["new", "york", "<b>"],
            "gold": GOLD,
            "predicted": GOLD if i < right else ["O", "O", "O"],
            "entities": [],
        }
        for i in range(40)
    ]


def test_a_tagging_task_is_told_by_entity_f1(make):
    runs = [
        make.metrics_of(rows, kind="tagging", name=name, **tagging.score(rows))
        for name, rows in (("good", tags(36)), ("poor", tags(4)))
    ]
    report = collect(runs)
    assert "points of F1 above poor" in report["tasks"][0]["headlines"][0]["claim"]
    for text in (page.render(report), markdown_page.render(report)):
        assert "40 test sentences" in text
        assert "LOC" in text
        assert "<b>" not in text


def test_a_wrong_answer_is_shown_beside_the_gold_one(make):
    rows = [
        {
            "id": str(i),
            "gold": ["in Oslo"],
            "predicted": said,
            "n_best": [{"text": said, "score": 1.0, "probability": 0.5}],
        }
        for i, said in enumerate(["in Oslo", "Lund"])
    ]
    run = make.metrics_of(rows, kind="spans", name="m", **spans.score(rows, scorer="squad"))
    found = collect([run])["tasks"][0]["mistakes"]
    assert [(one["predicted"], one["gold"]) for one in found["shown"]] == [("Lund", "in Oslo")]
