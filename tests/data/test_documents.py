import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertkit.data import documents
from bertkit.data.documents import DUPLICATE, EMPTY, FEW_CHARACTERS, FEW_SENTENCES, build
from bertkit.data.sources.raw import RawDocument, Tally
from bertkit.data.worker_pool import ordered_map
from bertkit.errors import DataError, HostError, StageError


def raw(*texts: str) -> list[RawDocument]:
    return [RawDocument(str(i), text, f"a.txt:{i}") for i, text in enumerate(texts)]


def story(i: int) -> str:
    return f"This is story {i}. It has two sentences and ends after {i * i} words."


def read(out: Path, split: str) -> dict[str, list[str]]:
    rows: list[dict[str, Any]] = []
    for path in sorted(out.glob(f"{split}-*.parquet")):
        rows += pq.read_table(path).to_pylist()
    return {row["id"]: row["sentences"] for row in rows}


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_documents_are_cleaned_split_and_written(tmp_path: Path) -> None:
    tally = Tally()
    build(raw("One\u200b.  Two!\nThree", "四。五。"), tmp_path, tally=tally, language="en")
    assert read(tmp_path, "documents") == {"0": ["One.", "Two!", "Three"], "1": ["四。", "五。"]}
    assert tally.as_json() == {
        "read": 2,
        "kept": 2,
        "dropped": {},
        "changed": {"invisible characters removed": 1, "white space folded": 1},
        "documents": {"train": 2, "heldout": 0},
        "sentences": {"train": 5, "heldout": 0},
        "characters": {"train": 17, "heldout": 0},
    }


def test_what_is_dropped_is_counted_by_reason(tmp_path: Path) -> None:
    tally = Tally()
    texts = raw("A first one. A second.", " \n\u200b", "Only one.", "A first  one.\u00a0A second.\n", "Oh. No.", "")
    build(texts, tmp_path, tally=tally, language="en", min_sentences=2, min_characters=10)
    assert tally.dropped == {EMPTY: 2, FEW_SENTENCES: 1, DUPLICATE: 1, FEW_CHARACTERS: 1}
    assert tally.read == 6
    assert list(read(tmp_path, "documents")) == ["0"]


pieces = st.lists(
    st.sampled_from(["", " ", "A. B.", "A.  B.", "C", "D!", "\x00", "一。二。", "\n", story(1)]), max_size=4
)


@settings(max_examples=40, deadline=None)
@given(st.lists(pieces.map("\n".join), max_size=60), st.integers(1, 3), st.integers(0, 5), st.sampled_from([0, 2, 40]))
def test_counts_balance(texts: list[str], min_sentences: int, min_characters: int, percentage: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        out, tally = Path(name), Tally()
        options: dict[str, Any] = {"min_sentences": min_sentences, "min_characters": min_characters}
        try:
            build(raw(*texts), out, tally=tally, language="en", heldout_percentage=percentage, **options)
        except DataError:
            assert tally.kept == 0
        assert tally.read == len(texts) == tally.kept + tally.dropped.total()
        kept = {split: read(out, prefix) for split, prefix in (("train", "documents"), ("heldout", "heldout"))}
        for split, found in kept.items():
            assert len(found) == tally.documents[split]
            assert sum(map(len, found.values())) == tally.sentences[split]
        bodies = ["\n".join(sentences) for found in kept.values() for sentences in found.values()]
        assert len(bodies) == len(set(bodies))


# --- held-out documents ----------------------------------------------------------------------------------------


def split_ids(out: Path, texts: list[RawDocument], percentage: float) -> tuple[set[str], set[str]]:
    out.mkdir()
    build(texts, out, tally=Tally(), language="en", heldout_percentage=percentage)
    return set(read(out, "documents")), set(read(out, "heldout"))


@pytest.mark.parametrize(("count", "least"), [(1, 0), (19, 0), (20, 1), (50, 1), (2000, 20)])
def test_held_out_documents(tmp_path: Path, count: int, least: int) -> None:
    texts = raw(*map(story, range(count)))
    train, heldout = split_ids(tmp_path / "a", texts, 2)
    assert not train & heldout
    assert len(train | heldout) == count
    assert least <= len(heldout) <= max(count // 20, least)


@pytest.mark.parametrize("count", [25, 500])
def test_the_same_documents_are_held_out_in_any_order(tmp_path: Path, count: int) -> None:
    texts = raw(*map(story, range(count)))
    assert split_ids(tmp_path / "a", texts, 2) == split_ids(tmp_path / "b", texts[::-1], 2)


def test_no_document_is_held_out_when_none_is_asked_for(tmp_path: Path) -> None:
    train, heldout = split_ids(tmp_path / "a", raw(*map(story, range(100))), 0)
    assert (len(train), len(heldout)) == (100, 0)
    assert not list((tmp_path / "a").glob("heldout-*"))


# --- shards ----------------------------------------------------------------------------------------------------


def test_shards_are_bounded_and_their_row_groups_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertkit.data.shards.GROUP_CHARACTERS", 1000)
    tally = Tally()
    build(
        raw(*map(story, range(200))), tmp_path, tally=tally, language="en", heldout_percentage=0, shard_characters=4000
    )
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"documents-{i:05d}.parquet" for i in range(len(paths))]
    assert len(paths) > 2
    assert list(read(tmp_path, "documents")) == [str(i) for i in range(200)]
    for path in paths:
        file = pq.ParquetFile(path)
        characters = [
            sum(len(s) for row in file.read_row_group(i)["sentences"].to_pylist() for s in row)
            for i in range(file.num_row_groups)
        ]
        assert max(characters) < 1100
        assert sum(characters) < 5100


def test_one_very_long_line(tmp_path: Path) -> None:
    build(raw("x" * 100_000, "A. B."), tmp_path, tally=(tally := Tally()), language="en")
    assert "".join(read(tmp_path, "documents")["0"]) == "x" * 100_000
    assert tally.changed == {documents.CUT: 1}


# --- processes -------------------------------------------------------------------------------------------------


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_BATCH_DOCUMENTS", 40)
    monkeypatch.setattr(documents, "_BATCHES_IN_PROCESS", 1)
    texts = raw(*(story(i % 900) for i in range(1000)))
    results, tallies = [], []
    for workers in (0, 2, 3):
        out, tally, seen = tmp_path / str(workers), Tally(), []
        out.mkdir()
        build(
            iter(texts),
            out,
            tally=tally,
            language="en",
            num_workers=workers,
            progress=lambda n, characters, seen=seen: seen.append((n, characters)),
        )
        results.append(content(out))
        tallies.append((tally.as_json(), seen))
    assert results[0] == results[1] == results[2]
    assert tallies[0] == tallies[1] == tallies[2]
    assert sum(n for n, _ in tallies[0][1]) == 1000


def test_reading_keeps_step_with_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_BATCH_DOCUMENTS", 10)
    monkeypatch.setattr(documents, "_BATCHES_IN_PROCESS", 1)
    taken = done = most = 0

    def source() -> Iterator[RawDocument]:
        nonlocal taken, most
        for document in raw(*map(story, range(1000))):
            taken += 1
            most = max(most, taken - done)
            yield document

    def progress(n: int, characters: int) -> None:
        nonlocal done
        done += n

    build(source(), tmp_path, tally=Tally(), language="en", num_workers=2, progress=progress)
    assert most <= 10 * (2 * 2 + 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_the_source_leaves_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(documents, "_BATCH_DOCUMENTS", 10)
    monkeypatch.setattr(documents, "_BATCHES_IN_PROCESS", 1)
    monkeypatch.setattr("bertkit.data.shards.GROUP_CHARACTERS", 100)

    def source() -> Iterator[RawDocument]:
        yield from raw(*map(story, range(200)))
        raise DataError("not UTF-8", where="a.txt:201")

    with pytest.raises(DataError, match="a.txt:201"):
        build(source(), tmp_path, tally=Tally(), language="en", num_workers=workers, shard_characters=1000)
    assert list(tmp_path.iterdir()) == []


def test_nothing_kept_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no document is left of 3: 2 too few sentences, 1 empty") as e:
        build(raw("One.", "Two.", ""), tmp_path, tally=Tally(), language="en", min_sentences=2)
    assert "min_sentences (now 2)" in str(e.value)
    with pytest.raises(DataError, match="holds no document"):
        build([], tmp_path, tally=Tally(), language="en")
    assert list(tmp_path.iterdir()) == []


def test_shards_of_another_build_are_not_mixed_with(tmp_path: Path) -> None:
    build(raw(story(1)), tmp_path, tally=Tally(), language="en")
    before = content(tmp_path)
    with pytest.raises(StageError, match="a corpus lies here already"):
        build(raw(story(2)), tmp_path, tally=Tally(), language="en")
    assert content(tmp_path) == before


def test_a_killed_worker_is_an_error_not_a_hang() -> None:
    # The first batches are done in this process, which a CONT signal does no harm.
    signals = iter([signal.SIGCONT] * documents._BATCHES_IN_PROCESS + [signal.SIGKILL] * 5)
    with pytest.raises(HostError, match="a worker process ended"):
        list(ordered_map(signal.raise_signal, signals, 2, in_process=documents._BATCHES_IN_PROCESS))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import time
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from os import getpid
        from bertkit.data.worker_pool import _end_with_parent

        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
                print(pool.submit(getpid).result(), flush=True)
                time.sleep(60)
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _alive(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    # A zombie that its new parent has not collected yet is no longer at work.
    return re.sub(r".*\) ", "", status)[0] != "Z"
