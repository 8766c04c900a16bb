"""What is refused before the Hub is asked, and what of this machine a published folder does not tell."""

import json
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from bertkit import artifacts, storage
from bertkit.artifacts import Artifact
from bertkit.config import Layer, build
from bertkit.errors import ConfigError, StageError
from bertkit.stages.publish import _OF_A_MODEL, PublishConfig, publish, push_folder


def copy_of(folder: Path, target: Path, **changed: Any) -> Path:
    """A folder of the same files whose manifest says something else."""
    shutil.copytree(folder.resolve(), target)
    manifest = json.loads((target / "manifest.json").read_text())
    storage.write_json(target / "manifest.json", {**manifest, **changed})
    return target


def test_a_name_is_looked_at_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no repository's name"):
        push_folder(tmp_path / "nothing", 'me/it"); import os', dry_run=True)
    with pytest.raises(ConfigError, match="no repository's name"):
        build(PublishConfig, Layer({"repo": "topics"}), name="publish")


def test_one_thing_is_published_and_that_is_known_before_anything_runs() -> None:
    config = build(PublishConfig, Layer({"repo": "me/it"}), name="publish")
    for names in ({"metrics"}, {"model", "vectors"}):
        with pytest.raises(ConfigError, match="takes one of"):
            publish.fits(config, names)
    publish.fits(config, {"vectors", "metrics"})


@pytest.mark.parametrize("name", ["topic_eval@1", "topic_data", "corpus"])
def test_what_is_no_model_is_not_pushed(whole_run: Path, name: str) -> None:
    with pytest.raises(StageError, match="no model"):
        push_folder(whole_run / "latest/small" / name, "me/it", dry_run=True)


def test_a_folder_of_others_is_not_pushed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(StageError, match="not written by bertkit"):
        push_folder(tmp_path, "me/it", dry_run=True)
    with pytest.raises(StageError, match="no such directory"):
        push_folder(tmp_path / "nothing", "me/it", dry_run=True)


def test_scores_of_another_run_of_the_same_name_are_refused(whole_run: Path) -> None:
    latest = whole_run / "latest/small"
    scores = json.loads((latest / "topic_eval@1/metrics.json").read_text())
    push_folder(latest / "topic@1", "me/it", scores=[scores], dry_run=True)
    with pytest.raises(ConfigError, match="are not this model's"):
        other = scores | {"train_seconds": scores["train_seconds"] + 1}
        push_folder(latest / "topic@1", "me/it", scores=[other], dry_run=True)


def test_no_place_of_this_machine_is_published(
    whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertkit import hub

    place, sent = str(tmp_path / "ada" / "glove.txt"), {}
    told = {"vectors_file": place, "many": [{"of": [place]}]}
    manifest = artifacts.read_manifest(whole_run / "latest/small/topic@1") or {}
    changed = {key: {**manifest[key], "model": told} for key in ("config", "given")}
    changed["identity"] = {**manifest["identity"], "config": told}
    folder = copy_of(whole_run / "latest/small/topic@1", tmp_path / "copy", **changed)

    def push(repo: str, files: Any, **options: Any) -> Any:
        sent.update(files)
        return hub.Pushed(repo, "url", "revision")

    monkeypatch.setattr(hub, "push", push)
    push_folder(folder, "me/it")
    assert b"glove.txt" in sent["manifest.json"]
    for content in sent.values():
        assert str(tmp_path).encode() not in (content if isinstance(content, bytes) else content.read_bytes())


def test_a_folder_that_was_fetched_is_whole_and_can_be_pushed_again(whole_run: Path, tmp_path: Path) -> None:
    folder = copy_of(whole_run / "latest/small/topic@1", tmp_path / "fetched")
    (folder / "README.md").write_text("a card that somebody has edited")
    (folder / ".gitattributes").write_text("")
    assert artifacts.verify(folder) > 3
    card, facts = push_folder(folder, "me/it", dry_run=True)
    assert "edited" not in card
    assert facts["files"].count("README.md") == 1


def test_every_file_of_a_model_is_replaced_by_a_push(whole_run: Path) -> None:
    made = [Artifact.open(path) for path in (whole_run / "latest/small").iterdir() if path.is_dir()]
    names = {
        n
        for one in made
        if one.manifest["stage"] in ("pretrain", "finetune", "word2vec")
        for n in one.manifest["files"]
    }
    assert {"model.safetensors", "config.json", "predictor.json"} <= names
    names |= {"network.json", "words.txt", "vectors.safetensors", "stats.json"}  # of baselines and word vectors
    assert {name for name in names if not any(fnmatchcase(name, pattern) for pattern in _OF_A_MODEL)} == set()


def test_what_is_loaded_says_what_it_cannot(whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bertkit

    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="USER/NAME"):
        bertkit.load("bert-base-uncased")
    with pytest.raises(StageError, match="google-bert/bert-base-uncased"):
        bertkit.finetune("classification", train=[("a", "b")] * 4, model="bert-base-uncased")
    shutil.copytree((whole_run / "latest/small/pretrain").resolve(), tmp_path / "pickled")
    for name in ("manifest.json", "model.safetensors"):
        (tmp_path / "pickled" / name).unlink()
    (tmp_path / "pickled/pytorch_model.bin").write_bytes(b"anything")
    loaded = bertkit.load(tmp_path / "pickled", device="cpu", num_threads=1)
    for ask in (lambda: loaded.fill(["a [MASK]"]), lambda: loaded.embed(["a"])):
        with pytest.raises(StageError, match=r"has no model\.safetensors"):
            ask()
    with pytest.raises(StageError, match=r"(?s)pytorch_model\.bin, are not read.*save_pretrained"):
        bertkit.finetune("classification", train=[("a", "b")] * 4, model=tmp_path / "pickled")


def test_vectors_are_loaded_by_name_of_folder(tmp_path: Path) -> None:
    import bertkit
    from bertkit.errors import DataError
    from bertkit.stages.vector_conversion import read_in

    (tmp_path / "glove.txt").write_text("bread 1 2\nsoup 2 3\nboat -1 1\n")
    read_in(tmp_path / "glove.txt", tmp_path / "read", binary=False)
    loaded = bertkit.load(tmp_path / "read")
    (found,) = loaded.nearest("bread", top_k=2)
    assert [word for word, _ in found] == ["soup", "boat"]
    assert found[0][1] == pytest.approx(8 / 65**0.5, abs=1e-3)
    with pytest.raises(DataError, match="'ship' has no vector"):
        loaded.nearest(["soup", "ship"])
    with pytest.raises(StageError, match="is a WordVectors, not a Model"):
        loaded.predict(["soup"])
