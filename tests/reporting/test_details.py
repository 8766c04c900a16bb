"""What the report says beyond scores: mistakes in their place, parts of the test set, curves, calibration."""

import html
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.evaluation import multilabel, regression, spans, tagging
from bertkit.reporting import detail_views, label_details, markdown_page, marked_text, page, plots, slices, span_details
from bertkit.reporting.collect import collect
from bertkit.reporting.marked_text import Mark

PARIS = "Paris in May\nwas Paris."


def tagged(predicted, *, id="a", tokens=("new", "york", "met", "ann"), gold=("B-LOC", "I-LOC", "O", "B-PER")):
    return {"id": id, "tokens": list(tokens), "gold": list(gold), "predicted": list(predicted), "entities": []}


def questions():
    rows, examples = [], []
    for i in range(40):
        asked = ["Who came?", "When was that?", "谁来了？", "Name it."][i % 4]
        context = f"Long before {'x' * i} it was Ann who came."
        start = context.index("Ann")
        answers = [] if i % 5 == 0 else [{"text": "Ann", "answer_start": start}]
        said = "Ann" if i < 30 else ""
        rows.append(
            {
                "id": str(i),
                "gold": [one["text"] for one in answers],
                "predicted": said,
                "start": start if said else None,
                "end": start + 3 if said else None,
                "n_best": [{"text": "Ann", "start": start, "end": start + 3, "score": 30.5 - i, "probability": 0.5}],
            }
        )
        examples.append({"id": str(i), "question": asked, "context": context, "answers": answers})
    return rows, examples


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pieces_put_together_are_the_text_and_every_mark_is_in_them(data):
    text = data.draw(st.text(alphabet="ab 长", min_size=1, max_size=80))
    edges = st.lists(st.integers(0, len(text)), min_size=2, max_size=8, unique=True).map(sorted)
    marks = [
        [Mark(a, b, "X") for a, b in zip(found[::2], found[1::2], strict=False)]
        for found in (data.draw(edges), data.draw(edges))
    ]
    pieces = marked_text.pieces(text, *marks)
    assert "".join(piece["text"] for piece in pieces) == text
    for side, own in zip(("gold", "said"), marks, strict=True):
        assert "".join(p["text"] for p in pieces if p[side] == "X") == "".join(text[m.start : m.end] for m in own)
        assert sum(piece[f"{side}_starts"] for piece in pieces) == len(own)
    assert sum(piece["right"] and piece["gold_starts"] for piece in pieces) == len(set(marks[0]) & set(marks[1]))


def test_brackets_say_what_was_gold_and_what_was_said():
    row = tagged(["B-LOC", "O", "O", "B-PER"])
    assert marked_text.in_brackets(marked_text.of_sentence(row)) == (
        "⟦gold LOC: ⟪said LOC: new⟫ york⟧ met ⟦right PER: ann⟧"
    )


def test_an_answer_is_shown_with_what_is_around_it():
    context = "x " * 600 + "It was Oslo, not Bergen. " + "y " * 600
    gold, said = context.index("Oslo"), context.index("Bergen")
    example = {"context": context, "answers": [{"text": "Oslo", "answer_start": gold}]}
    shown = marked_text.in_brackets(marked_text.of_answer({"start": said, "end": said + 6}, example))
    assert "It was ⟦gold: Oslo⟧, not ⟪said: Bergen⟫." in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 500


def test_a_tagging_report_shows_errors_by_kind_and_types_over_seeds(make):
    seeds = [
        [tagged(["B-LOC", "I-LOC", "O", "O"], id="a"), tagged(["B-LOC", "O", "O", "B-LOC"], id="b")],
        [tagged(["B-LOC", "I-LOC", "O", "B-PER"], id="a"), tagged(["B-LOC", "I-LOC", "O", "B-PER"], id="b")],
    ]
    runs = [
        make.metrics_of(rows, kind="tagging", name="m", **(tagging.score(rows) | {"seed": seed}))
        for seed, rows in enumerate(seeds)
    ]
    task = collect(runs)["tasks"][0]
    errors = task["details"]["errors"][0]
    assert (errors["missed"], errors["boundary"], errors["type"]) == (0.5, 0.5, 0.5)
    found = task["systems"][0]["per_type"]["PER"]
    assert found["recall"] == {"mean": 0.5, "sd": pytest.approx(0.7071, abs=1e-4)}
    first = task["mistakes"]["shown"][0]
    assert [piece["right"] for piece in first["pieces"] if piece["gold_starts"]] in ([True, False], [False, False])
    assert "gold PER" in page.render(collect(runs))


def test_a_report_on_answers_tells_them_by_question_length_and_threshold(make):
    rows, examples = questions()
    data = make.data_of(examples, kind="spans")
    run = make.metrics_of(rows, kind="spans", name="m", data=data, **spans.score(rows, scorer="squad_v2"))
    report = collect([run], task_data=[data])
    found = report["tasks"][0]["details"]
    by = {part["by"]: {row["name"]: row for row in part["rows"]} for part in found["slices"]}
    assert {name: row["count"] for name, row in by["question word"].items()} == {
        "who": 10,
        "when": 10,
        "谁": 10,
        "other": 10,
    }
    assert by["answer"]["has none"]["values"]["exact_match"] == 0.25
    assert by["answer"]["has an answer"]["values"]["f1"] == 0.75
    assert sum(row["count"] for row in by["length of context, characters"].values()) == 40
    curve = found["threshold"]["points"]
    assert curve[-1][1] == 0.2  # above every score nothing is answered: right where there is no answer
    assert found["threshold"]["lowest_answered"] == 1.5
    first = report["tasks"][0]["mistakes"]["shown"][0]
    assert first["n_best"] == [{"text": "Ann", "probability": 0.5}]
    assert any(piece["said_starts"] for piece in first["pieces"])
    assert "question word" in markdown_page.render(report)


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("In what year?", "what"),
        ("How many?", "how many"),
        ("To whom?", "who"),
        ("他什么时候来？", "什么时候"),
        ("___ wins", "other"),
    ],
)
def test_question_words(question, word):
    assert span_details.question_word(question) == word


def test_calibration_of_all_seeds_together_is_told_apart_from_the_mean_of_theirs(make):
    gold = [0, 1, 2] * 20
    runs = [  # 80 % sure, and right in 60 % and in 100 % of the cases: together 80 %
        make.metrics([(g + 1) % 3 if i < wrong else g for i, g in enumerate(gold)], gold, seed=seed)
        for seed, wrong in ((1, 24), (2, 0))
    ]
    report = collect(runs)
    task = report["tasks"][0]
    calibration = task["details"]["calibration"]
    assert calibration["error_of_all_together"] == pytest.approx(0.0, abs=1e-12)
    assert calibration["mean_error_of_seeds"] == pytest.approx(0.2)
    assert task["systems"][0]["metrics"]["expected_calibration_error"]["mean"] == pytest.approx(0.2)
    for written in (page.render(report), markdown_page.render(report)):
        assert "of the 2 seeds' predictions taken together" in html.unescape(written)
        assert "mean of each seed's own, as among the metrics: 20.0" in html.unescape(written)
        assert "With several seeds: the mean of each seed's own value" in html.unescape(written)


def test_pairs_are_told_by_overlap_and_probabilities_by_how_often_they_are_right(make):
    texts = [f"alpha beta {'gamma ' * (i % 7)}{i}" for i in range(40)]
    gold = [i % 3 for i in range(40)]
    data = make.task_data(texts, gold)
    run = make.metrics([(g + 1) % 3 if i < 8 else g for i, g in enumerate(gold)], gold, data=data)
    task = collect([run], task_data=[data])["tasks"][0]
    found = task["details"]
    # All are 80 % sure and 80 % right.
    assert found["calibration"]["bins"] == [[pytest.approx(0.8), 0.8, 40]]
    assert found["calibration"]["error_of_all_together"] == pytest.approx(0.0)
    assert found["per_label"]["garden"]["support"] == 14
    assert [part["by"] for part in found["slices"]] == ["length of text, characters"]
    assert label_details.overlap("The cat sat", "the CAT ran") == 0.5
    assert label_details.overlap("海边", "海") == 0.5
    assert next(plot.title for plot in detail_views.plots(task)) == "Precision over recall"


def test_a_precision_recall_curve_ends_at_full_recall_and_its_area_is_sklearns():
    metrics = pytest.importorskip("sklearn.metrics")
    import numpy as np

    rng = np.random.default_rng(0)
    gold, scores = rng.random(300) < 0.3, rng.random(300).round(2)
    found = label_details._curve(gold, scores)
    assert found["points"][-1] == [1.0, pytest.approx(gold.mean(), abs=1e-3)]
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(gold, scores))


def test_label_sets_show_each_label_with_its_threshold(make):
    labels = ["a", "b"]
    rows = [
        {
            "id": str(i),
            "gold": ["a"] if i % 2 else [],
            "predicted": ["a"] if i > 5 else [],
            "scores": {"a": i / 20, "b": 0.1},
        }
        for i in range(20)
    ]
    scores = multilabel.score(rows, labels) | {"primary": "micro_f1", "labels": labels}
    task = collect([make.metrics_of(rows, kind="classification", name="m", **scores)])["tasks"][0]
    assert task["details"]["per_label"]["a"]["lowest_taken"] == 0.3
    assert task["details"]["per_label"]["b"]["lowest_taken"] is None
    assert [row.cells[0] for row in detail_views.shown(task).rows] == labels


def test_numbers_show_the_farthest_off_with_their_text(make):
    rows = [
        {"id": str(i), "gold": i / 10, "predicted": i / 10 + (2 if i == 7 else 0.1), "scores": {}} for i in range(20)
    ]
    data = make.data_of([{"id": str(i), "text": f"text {i}"} for i in range(20)], kind="classification")
    scores = regression.score(rows) | {"primary": "spearmanr", "labels": []}
    run = make.metrics_of(rows, kind="classification", name="m", data=data, **scores)
    report = collect([run], task_data=[data], examples=3)
    worst = report["tasks"][0]["details"]["worst"]
    assert next((one["id"], one["text"]) for one in worst) == ("7", "text 7")
    assert len(worst) == 3
    assert "text 7" in page.render(report)
    assert "text 7" in markdown_page.render(report)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=60))
def test_every_example_is_in_one_group_and_groups_do_not_overlap(values):
    groups = slices.by_size(values)
    assert sorted(place for _, places in groups for place in places) == list(range(len(values)))
    ranges = [(min(values[p] for p in places), max(values[p] for p in places)) for _, places in groups]
    assert all(a[1] < b[0] for a, b in itertools.pairwise(ranges))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=20))
def test_what_is_drawn_lies_in_the_plot(points):
    plot = plots.Plot("t", "m", plots.Axis("x"), plots.Axis("y"), [plots.Line("l", points)], points, diagonal=True)
    drawn = plots.draw(plot)
    assert all(-0.2 <= x <= 100.2 and -0.2 <= y <= plots.HEIGHT + 0.2 for x, y, _ in drawn.dots)
