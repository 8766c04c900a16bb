"""A stage runs once for what makes its result, and never leaves something half-made that looks whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from bertkit import artifacts, storage
from bertkit.artifacts import Corpus, Metrics, Tokenizer
from bertkit.config import Config, fingerprint, runtime
from bertkit.errors import IntegrityError, StageError
from bertkit.stage import Stage, differences, stage

calls: list[str] = []


class CorpusConfig(Config):
    text: str = "x"
    """Content."""
    fail: bool = runtime(False)
    """Break off in the middle."""
    file: str | None = runtime(None)
    """An input file."""


@stage("corpus", version=1, input_files=lambda config: [Path(config.file)] if config.file else [])
def make_corpus(config: CorpusConfig, *, out: Path) -> Corpus:
    """Make a corpus."""
    calls.append("corpus")
    storage.write_text(out / "half.txt", config.text)
    if config.fail:
        raise KeyError("broken off")
    storage.write_json(out / "stats.json", {"kept": 1})
    return Corpus(out)


@stage("count", version=1, resumable=True)
def count(config: CorpusConfig, corpus: Corpus, more: tuple[Metrics, ...] = (), *, out: Path) -> Corpus:
    """Count, keeping what an earlier try wrote."""
    tries = len(list(out.glob("try-*")))
    storage.write_text(out / f"try-{tries}", "")
    if config.fail:
        raise KeyError("broken off")
    storage.write_json(out / "stats.json", {"tries": tries + 1})
    return Corpus(out)


def run(declared: Stage, root: Path, config: Config, **inputs: Any) -> Any:
    names = {name: artifact.fingerprint for name, artifact in inputs.items()}
    identity = declared.identity(config, names, storage.Digests())
    return declared.run(config, inputs, root / declared.name / fingerprint(identity), identity)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


def test_the_signature_is_the_declaration() -> None:
    assert make_corpus.output is Corpus
    assert {name: (p.artifact, p.many, p.optional) for name, p in count.ports.items()} == {
        "corpus": (Corpus, False, False),
        "more": (Metrics, True, True),
    }
    with pytest.raises(TypeError, match="must be fn"):
        stage("bad", version=1)(lambda out: out)


def test_a_finished_stage_is_skipped_and_a_runtime_field_does_not_rerun_it(tmp_path: Path) -> None:
    first = run(make_corpus, tmp_path, CorpusConfig())
    again = run(make_corpus, tmp_path, CorpusConfig(file=None, fail=True))
    assert (first, calls) == (again, ["corpus"])
    other = run(make_corpus, tmp_path, CorpusConfig(text="y"))
    assert other.path != first.path
    assert first.path.exists()


def test_a_stage_that_breaks_off_is_not_finished_and_starts_clean(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        run(make_corpus, tmp_path, CorpusConfig(fail=True))
    (out,) = (tmp_path / "corpus").iterdir()
    assert artifacts.read_manifest(out) is None
    with pytest.raises(StageError, match="has not finished"):
        Corpus.open(out)
    (out / "left over").write_text("")
    run(make_corpus, tmp_path, CorpusConfig())
    assert not (out / "left over").exists()
    assert artifacts.verify(out) == 2


def test_a_resumable_stage_goes_on_from_what_is_there(tmp_path: Path) -> None:
    corpus = run(make_corpus, tmp_path, CorpusConfig())
    with pytest.raises(KeyError):
        run(count, tmp_path, CorpusConfig(fail=True), corpus=corpus)
    assert run(count, tmp_path, CorpusConfig(), corpus=corpus).counts() == {"tries": 2}


def test_input_files_count_by_content_not_by_place_or_time(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "f.txt", tmp_path / "b" / "f.txt"
    for path in (one, two):
        path.parent.mkdir()
        path.write_text("same")
    made = [run(make_corpus, tmp_path, CorpusConfig(file=str(path))).path for path in (one, two)]
    two.write_text("changed")
    made.append(run(make_corpus, tmp_path, CorpusConfig(file=str(two))).path)
    assert made[0] == made[1] != made[2]


def test_a_run_killed_in_its_first_write_is_gone_on_with(tmp_path: Path) -> None:
    identity = make_corpus.identity(CorpusConfig(), {}, storage.Digests())
    left = tmp_path / f".{artifacts.UNFINISHED}.123.tmp"
    left.write_text('{"sta')
    make_corpus.run(CorpusConfig(), {}, tmp_path, identity)
    assert not left.exists()
    assert artifacts.verify(tmp_path) == 2


def test_what_a_directory_of_the_user_holds_is_never_deleted(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years")
    identity = make_corpus.identity(CorpusConfig(), {}, storage.Digests())
    with pytest.raises(StageError, match="not empty"):
        make_corpus.run(CorpusConfig(), {}, out, identity)
    assert (out / "thesis.txt").read_text() == "years"


def test_a_directory_with_another_result_is_refused_with_the_difference(tmp_path: Path) -> None:
    for text, refused in (("x", False), ("y", True)):
        config = CorpusConfig(text=text)
        identity = make_corpus.identity(config, {}, storage.Digests())
        if refused:
            with pytest.raises(StageError, match='config.text: "x" -> "y"'):
                make_corpus.run(config, {}, tmp_path / "out", identity)
        else:
            make_corpus.run(config, {}, tmp_path / "out", identity)


def test_wrong_and_missing_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="needs the input 'corpus'"):
        count.check_inputs({})
    with pytest.raises(StageError, match="needs a Corpus, got a Tokenizer"):
        count.check_inputs({"corpus": Tokenizer(tmp_path)})
    with pytest.raises(StageError, match="no input"):
        count.check_inputs({"corpus": Corpus(tmp_path), "korpus": Corpus(tmp_path)})
    made = run(make_corpus, tmp_path, CorpusConfig())
    with pytest.raises(StageError, match="is a Corpus, not a Tokenizer"):
        Tokenizer.open(made.path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: (out / "stats.json").write_text('{"kept": 2}'), "stats.json has"),
        (lambda out: (out / "half.txt").unlink(), "half.txt is missing"),
        (lambda out: (out / "new.txt").write_text(""), "new.txt is not in the manifest"),
        (lambda out: (out / "manifest.json").write_text("{"), "cannot be read"),
    ],
)
def test_verify_names_what_changed(tmp_path: Path, damage: Any, message: str) -> None:
    out = run(make_corpus, tmp_path, CorpusConfig()).path
    damage(out)
    with pytest.raises(IntegrityError, match=message) as caught:
        artifacts.verify(out)
    assert caught.value.exit_code == 4


def test_the_manifest_says_what_made_the_directory(tmp_path: Path) -> None:
    corpus = run(make_corpus, tmp_path, CorpusConfig(text="z"))
    result = run(count, tmp_path, CorpusConfig(), corpus=corpus)
    manifest = json.loads((result.path / "manifest.json").read_text())
    assert manifest["inputs"] == {"corpus": str(corpus.path)}
    assert manifest["identity"]["inputs"] == {"corpus": corpus.fingerprint}
    assert corpus.manifest["config"]["text"] == "z"
    assert corpus.manifest["counts"] == {"kept": 1}
    assert corpus.manifest["files"]["stats.json"]["size"] > 0
    assert "torch" in corpus.manifest["versions"]


def test_differences_name_fields_down_to_the_leaf() -> None:
    old, new = (
        {"config": {"lr": 1e-4, "same": 1}, "version": 1},
        {"config": {"lr": 3e-4, "same": 1}, "version": 1, "x": 2},
    )
    assert differences(old, new) == ["config.lr: 0.0001 -> 0.0003", "x: (absent) -> 2"]
