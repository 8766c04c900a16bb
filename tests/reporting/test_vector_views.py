"""Word vectors on the page: neighbours by cosine, and a map."""

import numpy as np
import pytest

from bertkit.reporting import markdown_page, page, vector_views
from bertkit.reporting.collect import collect

WORDS = ["king", "queen", "apple", "pear"]
VECTORS = [[2.0, 0.1, 0.0], [1.0, 0.0, 0.1], [0.0, 1.0, 0.1], [0.1, 3.0, 0.0]]


def test_neighbours_are_by_direction_not_length(make):
    view = vector_views.look(make.vectors(WORDS, VECTORS))
    nearest = {one["word"]: one["nearest"][0] for one in view["neighbours"]}
    assert {word: found[0] for word, found in nearest.items()} == {
        "king": "queen",
        "queen": "king",
        "apple": "pear",
        "pear": "apple",
    }
    assert nearest["king"][1] == pytest.approx(2 / (np.sqrt(4.01) * np.sqrt(1.01)), abs=1e-3)
    assert [len(one["nearest"]) for one in view["neighbours"]] == [3, 3, 3, 3]


def test_the_map_keeps_what_belongs_together_together(make):
    place = {word: np.array([x, y]) for word, x, y in vector_views.look(make.vectors(WORDS, VECTORS))["map"]}
    within = np.linalg.norm(place["king"] - place["queen"])
    assert within < np.linalg.norm(place["king"] - place["apple"]) / 3
    drawn = vector_views.places(vector_views.look(make.vectors(WORDS, VECTORS)))
    assert {"king", "apple"} & {one["word"] for one in drawn}
    assert all(0 < one["x"] < vector_views.WIDTH and 0 < one["y"] < vector_views.HEIGHT for one in drawn)


def test_the_most_frequent_words_and_signs_are_left_out():
    words = [",", *(f"word{i}" for i in range(180)), "7"]
    chosen = [words[i] for i in vector_views.frequent(words)]
    assert chosen == ["word100", "word115", "word130", "word145", "word160", "word175"]
    assert vector_views.frequent([",", "a"]) == [1]


def test_both_pages_show_the_neighbours(make):
    report = collect([make.metrics([0, 1], [0, 1])], vectors=[make.vectors(WORDS, VECTORS)])
    for text in (page.render(report), markdown_page.render(report)):
        assert "queen 0.99" in text
    assert page.render(report).count('<figure class="map">') == 1
