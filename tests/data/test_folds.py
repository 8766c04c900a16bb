"""Cross-validation: every row held out once, equal texts together, labels alike in all folds."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data.task_examples import Example
from bertkit.data.task_splits import fold_numbers
from bertkit.data.tasks import read_files
from bertkit.errors import DataError

TEXTS = st.text("ab 中", min_size=1, max_size=4).filter(str.strip)


def example(text: str, label: str = "x") -> Example:
    return Example(text, text, label, "f:1", "f:1")


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, st.sampled_from("xyz")), min_size=6, max_size=40), count=st.integers(2, 5))
def test_equal_texts_are_never_parted_and_parts_are_alike(rows: list[tuple[str, str]], count: int) -> None:
    examples = [example(*row) for row in rows]
    texts = {" ".join(text.split()) for text, _ in rows}
    if len(texts) < count:
        with pytest.raises(DataError, match=f"cannot be cut into {count} folds"):
            fold_numbers(examples, [label for _, label in rows], count)
        return
    numbers = fold_numbers(examples, [label for _, label in rows], count)
    of_text: dict[str, set[int]] = {}
    for (text, _), number in zip(rows, numbers, strict=True):
        of_text.setdefault(" ".join(text.split()), set()).add(number)
    assert all(len(found) == 1 for found in of_text.values())
    sizes = Counter(next(iter(found)) for found in of_text.values())
    assert set(sizes) == set(range(1, count + 1))
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_labels_are_dealt_out_evenly_and_by_content_alone() -> None:
    labels = ["rare"] * 10 + ["common"] * 90
    examples = [example(f"text {i}", label) for i, label in enumerate(labels)]
    numbers = fold_numbers(examples, labels, 5)
    table = Counter(zip(labels, numbers, strict=True))
    assert all(table["rare", fold] == 2 and table["common", fold] == 18 for fold in range(1, 6))
    backwards = fold_numbers(examples[::-1], labels[::-1], 5)
    assert backwards[::-1] == numbers
    assert numbers != sorted(numbers)


def write(folder: Path, split: str, rows: list[str]) -> Path:
    path = folder / f"{split}.csv"
    path.write_text("text,label\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_all_splits_are_put_together_and_every_row_is_counted(tmp_path: Path) -> None:
    files = {
        "train": write(
            tmp_path, "train", [f"good {i},1" for i in range(20)] + [",1"] + [f"bad {i},0" for i in range(20)]
        ),
        "test": write(tmp_path, "test", [f"other {i},{i % 2}" for i in range(10)] + ["good 3,1"]),
    }
    held_out: Counter[str] = Counter()
    for fold in range(1, 5):
        data = read_files(files, format="csv", columns={"text": "text", "label": "label"}, max_bad_rows=1)
        data.hold_out(fold, 4)
        data.prepare(validation_percentage=20)
        held_out.update(one.id for one in data.splits["test"])
        task = data.describe()
        assert task["fold"] == f"{fold}/4"
        assert list(task["counts"]) == ["train", "validation", "test"]
        assert sum(task["read"].values()) == 52
        for split, read in task["read"].items():
            assert read == task["counts"][split] + sum(task["dropped"][split].values())
        assert sum(task["dropped"]["train"].values()) == 1
        assert task["overlap"]["test_in_train"] == task["overlap"]["test_in_validation"] == 0
    assert len(held_out) == 51
    assert set(held_out.values()) == {1}


def test_more_folds_than_texts_are_refused(tmp_path: Path) -> None:
    files = {"train": write(tmp_path, "train", ["a,1", "b,0", "a ,1"])}
    data = read_files(files, format="csv", columns={"text": "text", "label": "label"})
    with pytest.raises(DataError, match="2 different texts cannot be cut into 3 folds"):
        data.hold_out(1, 3)
