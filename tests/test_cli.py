"""The command line: fast to start, clear about mistakes, and honest about what is done."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bertkit import stages

REPOSITORY = Path(__file__).parents[1]


def test_help_and_plans_import_nothing_heavy(pipeline: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from bertkit.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'evaluate', 'accelerate', 'pyarrow', 'pandas') if m in sys.modules])"
    )
    for arguments in (["--help"], ["run", str(pipeline), "--dry-run", "--root", str(tmp_path)], ["stages"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=REPOSITORY)
        assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_stages_lists_every_stage_with_its_inputs(bertkit: Any) -> None:
    listed = bertkit("stages").stdout
    for name in stages.NAMES:
        assert re.search(rf"^{name}\(", listed, re.MULTILINE)
    assert "pretrain(data: PretrainData, tokenizer: Tokenizer, start: Checkpoint?) -> Checkpoint" in listed


def test_a_second_run_skips_everything_quickly(bertkit: Any, pipeline: Path, whole_run: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole_run.rglob("manifest.json")}
    started = time.monotonic()
    done = bertkit("run", pipeline, "--root", whole_run)
    assert done.returncode == 0
    assert time.monotonic() - started < 10
    assert done.stderr.count("done already") == 14
    assert {p: p.stat().st_mtime_ns for p in whole_run.rglob("manifest.json")} == before


def test_status_why_and_verify(bertkit: Any, pipeline: Path, whole_run: Path) -> None:
    assert bertkit("status", pipeline, "--root", whole_run).stdout.count("done ") == 14
    why = bertkit("why", pipeline, "topic", "topic.learning_rate=1e-3", "tokenizer.vocab_size=140", "--root", whole_run)
    assert "config.learning_rate: 0.003 -> 0.001" in why.stdout
    assert "config.vocab_size: 150 -> 140" in why.stdout
    assert "topic@1 is done" in bertkit("why", pipeline, "topic", "--root", whole_run).stdout
    checked = bertkit("verify", whole_run / "latest" / "small" / "pretrain")
    assert (checked.returncode, "all as written" in checked.stdout) == (0, True)


def test_verify_finds_one_changed_byte(bertkit: Any, whole_run: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree((whole_run / "latest" / "small" / "tokenizer").resolve(), copy)
    path = copy / "vocab.txt"
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    done = bertkit("verify", copy)
    assert done.returncode == 4
    assert "vocab.txt has" in done.stderr


def test_only_needs_what_it_reads(bertkit: Any, pipeline: Path, tmp_path: Path) -> None:
    done = bertkit("run", pipeline, "--root", tmp_path, "--only", "tokenizer")
    assert done.returncode == 2
    assert "tokenizer reads corpus, which has not been run" in done.stderr
    assert bertkit("run", pipeline, "--root", tmp_path, "--only", "corpus").returncode == 0
    assert bertkit("run", pipeline, "--root", tmp_path, "--only", "tokenizer").returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["corpus", "latest", "tokenizer"]


def test_a_run_that_holds_the_directory_is_named(bertkit: Any, pipeline: Path, tmp_path: Path) -> None:
    from bertkit.pipeline.graph import make_plan

    out = make_plan(pipeline, [], root=tmp_path).select("corpus")[0].out
    code = (
        "import sys, time; from pathlib import Path; from bertkit import storage\n"
        "with storage.locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(float(sys.argv[2]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(out), "60"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = bertkit("run", pipeline, "--root", tmp_path, "--only", "corpus")
        assert done.returncode == 75
        assert f"pid {holder.pid} on" in done.stderr
        holder.kill()
    with subprocess.Popen([sys.executable, "-c", code, str(out), "2"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert bertkit("run", pipeline, "--root", tmp_path, "--only", "corpus", "--wait").returncode == 0


class TestMistakes:
    """Each gives one message with a place and a remedy, exit code 2 or 3, no traceback, and nothing that looks done."""

    @pytest.fixture
    def fails(self, bertkit: Any, pipeline: Path, tmp_path: Path) -> Any:
        def run(*overrides: str, only: tuple[str, ...] = ("corpus",), root: Path | None = None) -> Any:
            for stage in only:
                done = bertkit("run", pipeline, *overrides, "--root", root or tmp_path / "root", "--only", stage)
                if done.returncode:
                    break
            assert done.returncode in (2, 3), done.stderr
            assert "Traceback" not in done.stderr
            assert done.stderr.count("error:") == 1
            failed = done.stderr.partition("error:")[2]
            finished = {p.parent.parent.name for p in (tmp_path / "root").rglob("manifest.json")}
            assert only[-1] not in finished
            return done.returncode, failed

        return run

    def test_a_typo_in_a_preset(self, bertkit: Any, tmp_path: Path, pipeline: Path) -> None:
        preset = tmp_path / "mine.yaml"
        preset.write_text("max_steps: 10\n\nlerning_rate: 1e-4\n")
        done = bertkit("run", pipeline, f"pretrain.preset={preset}", "--root", tmp_path / "root")
        assert done.returncode == 2
        assert f"{preset}:3: pretrain.lerning_rate: no such key, did you mean 'learning_rate'?" in done.stderr

    def test_a_missing_pipeline_and_a_missing_file(self, bertkit: Any, fails: Any, tmp_path: Path) -> None:
        done = bertkit("run", tmp_path / "none.yaml")
        assert (done.returncode, "none.yaml: no such file" in done.stderr) == (2, True)
        code, message = fails(f"corpus.source.files={tmp_path}/no.txt")
        assert code == 2
        assert "no.txt" in message

    def test_bad_utf8_at_a_known_line(self, fails: Any, tmp_path: Path) -> None:
        (tmp_path / "bad.txt").write_bytes(b"Good line.\nAnother one.\nBad \xff byte.\n")
        code, message = fails(f"corpus.source.files={tmp_path}/bad.txt")
        assert code == 2
        assert f"{tmp_path}/bad.txt:3" in message
        assert "on_bad_utf8" in message

    @pytest.mark.parametrize("content", ["", "\n\n  \n"])
    def test_an_empty_corpus(self, fails: Any, tmp_path: Path, content: str) -> None:
        (tmp_path / "empty.txt").write_text(content)
        code, message = fails(f"corpus.source.files={tmp_path}/empty.txt")
        assert code == 2
        assert "no document" in message.lower() or "nothing" in message.lower()

    def test_a_corpus_of_one_document(self, fails: Any, tmp_path: Path) -> None:
        words = " ".join(f"Sentence number {i} says something of its own." for i in range(200))
        (tmp_path / "one.txt").write_text(words + "\n")
        code, message = fails(
            f"corpus.source.files={tmp_path}/one.txt",
            only=("corpus", "tokenizer", "pretrain_data", "pretrain"),
        )
        assert code == 2
        assert "next-sentence prediction is impossible: the corpus has 1 document" in message
        assert "objective=mlm" in message

    def test_a_vocabulary_too_small_for_the_alphabet(self, fails: Any) -> None:
        code, message = fails("tokenizer.vocab_size=20", only=("corpus", "tokenizer"))
        assert code == 2
        assert "20" in message
        assert "limit_alphabet" in message

    def test_a_label_that_only_the_test_split_has(self, fails: Any, made_up: Path, tmp_path: Path) -> None:
        lines = (made_up / "test.jsonl").read_text().splitlines()
        lines[4] = json.dumps({"text": "A new kind of thing.", "label": "gardening"})
        (tmp_path / "test.jsonl").write_text("\n".join(lines) + "\n")
        code, message = fails(f"topic_data.source.test={tmp_path}/test.jsonl", only=("topic_data",))
        assert code == 2
        assert f"{tmp_path}/test.jsonl:5" in message
        assert "gardening" in message

    def test_an_output_directory_that_cannot_be_written(self, fails: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        code, message = fails(root=tmp_path / "file")
        assert code == 3
        assert "--root" in message

    def test_an_exhausted_disk_quota(self, pipeline: Path, tmp_path: Path) -> None:
        code = (
            "import resource, signal, sys; from bertkit.cli import main\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
            "main()"
        )
        command = [sys.executable, "-c", code, "run", str(pipeline), "--root", str(tmp_path), "--only", "corpus"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.rglob("manifest.json"))


def test_unknown_inputs_of_a_recipe_are_refused(tmp_path: Path) -> None:
    command = [sys.executable, "recipes/pretrain.py", "--out", str(tmp_path / "o"), "max_steps=1", "--input", "store=x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 2
    assert "is not NAME=DIR with a name of pretrain (data, tokenizer, start)" in done.stderr
    assert not (tmp_path / "o").exists()


def test_inspect_audits_what_pretraining_would_be_given(bertkit: Any, whole_run: Path) -> None:
    store = whole_run / "latest" / "small" / "pretrain_data"
    options = ["max_seq_length=48", "train_batch_size=8", "mask_strategy=whole_word"]
    done = bertkit("inspect", store, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^ok +epoch 1: label-1 pairs of one document +0 +0$", done.stdout, re.MULTILINE)
    assert "BROKEN" not in done.stdout
    findings = json.loads(bertkit("inspect", store, *options, "--json", "--epochs", 1).stdout)
    assert {"name": "sequences without a target", "value": 0, "law": "0", "holds": True} in findings


def test_inspect_names_the_broken_law_and_ends_with_4(bertkit: Any, whole_run: Path, tmp_path: Path) -> None:
    import shutil

    from bertkit.artifacts import PretrainData, finish

    # A store whose held-out documents are its training documents, whole in every other way.
    copy = tmp_path / "copy"
    shutil.copytree((whole_run / "latest" / "small" / "pretrain_data").resolve(), copy)
    for path in copy.glob("train.*"):
        shutil.copyfile(path, copy / path.name.replace("train", "heldout"))
    meta = json.loads((copy / "meta.json").read_text())
    meta["counts"]["heldout"] = meta["counts"]["train"]
    (copy / "meta.json").write_text(json.dumps(meta))
    finish(PretrainData(copy), {k: v for k, v in PretrainData(copy).manifest.items() if k not in ("files", "counts")})

    done = bertkit("inspect", copy, "max_seq_length=48", "train_batch_size=8")
    assert done.returncode == 4
    documents = meta["counts"]["train"]["documents"]
    assert f"held-out documents that stand in train: {documents}, the law is 0" in done.stderr
    assert re.search(rf"^BROKEN +held-out documents that stand in train +{documents} +0$", done.stdout, re.MULTILINE)


def test_inspect_refuses_what_it_cannot_read(bertkit: Any, whole_run: Path, pipeline: Path) -> None:
    done = bertkit("inspect", whole_run / "latest" / "small" / "corpus")
    assert (done.returncode, "is a Corpus, not a PretrainData" in done.stderr) == (2, True)
    done = bertkit("inspect", pipeline)
    assert (done.returncode, "does not say what kind of file it is" in done.stderr) == (2, True)
    done = bertkit("inspect", whole_run / "latest" / "small" / "pretrain_data", "mask_strategy=words")
    assert (done.returncode, "mask_strategy" in done.stderr) == (2, True)


def test_trackers_are_named_for_every_training_and_change_no_result(pipeline: Path, bertkit: Any) -> None:
    plain = bertkit("run", pipeline, "--dry-run")
    tracked = bertkit("run", pipeline, "--dry-run", "--report_to", "tensorboard", "--report_to", "wandb")
    assert (tracked.returncode, tracked.stdout) == (0, plain.stdout), tracked.stderr
    assert bertkit("run", pipeline, "--dry-run", "--report_to", "none").stdout == plain.stdout
