"""Which wrong examples are shown, and in which order."""

from bertkit.reporting import mistakes
from bertkit.reporting.collect import collect

GOLD = [0, 1, 2, 0, 1, 2]


def test_mistakes_shared_by_all_seeds_come_first_and_say_so(make):
    data = make.task_data([f"Text number {i}." for i in range(6)], GOLD)
    runs = [
        make.metrics([1, 1, 2, 0, 1, 2], GOLD, seed=1, data=data),
        make.metrics([2, 2, 2, 0, 1, 2], GOLD, seed=2, data=data),
        make.metrics([1, 1, 2, 0, 1, 2], GOLD, seed=3, data=data),
    ]
    found = collect(runs, task_data=[data])["tasks"][0]["mistakes"]
    assert (found["in_all"], found["in_some"], found["examples"]) == (1, 1, 6)
    first, second = found["shown"]
    assert (first["id"], first["wrong_in"], first["text"]) == ("t0", 3, "Text number 0.")
    assert (first["gold"], first["predicted"], first["also_predicted"]) == ("garden", "kitchen", ["海边"])
    assert (second["id"], second["wrong_in"]) == ("t1", 1)


def test_long_texts_are_cut_and_the_rest_of_the_mistakes_only_counted(make):
    data = make.task_data(["长" * 1000, *["word " * 200] * 5], GOLD)
    found = collect([make.metrics([1, 2, 0, 1, 2, 0], GOLD, data=data)], task_data=[data], examples=2)
    shown = found["tasks"][0]["mistakes"]["shown"]
    assert len(shown) == 2
    assert shown[0]["text"] == "长" * (mistakes.TEXT_LIMIT - 1) + "…"
    assert shown[0]["characters"] == 1000
    assert found["tasks"][0]["mistakes"]["in_all"] == 6


def test_without_the_tasks_data_there_are_ids_and_a_reason(make):
    found = collect([make.metrics([1, 1, 2, 0, 1, 2], GOLD)])["tasks"][0]["mistakes"]
    assert found["shown"][0]["text"] is None
    assert "task_data" in found["texts_missing"]


def test_confusions_are_listed_by_frequency():
    pairs = mistakes.confusions([[8, 2, 0], [5, 5, 0], [0, 0, 3]], ["a", "b", "c"])
    assert [(p["gold"], p["predicted"], p["count"], p["of_gold"]) for p in pairs] == [
        ("b", "a", 5, 0.5),
        ("a", "b", 2, 0.2),
    ]
