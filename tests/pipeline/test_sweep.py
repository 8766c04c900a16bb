"""A sweep: ordinary runs of one entry, kept, compared on the validation split alone."""

import json
import sys
from pathlib import Path

import pytest

from bertkit.errors import ConfigError, HostError, NumericError
from bertkit.pipeline.sweep import as_overrides, read_sweep, search

PIPELINE = """\
stages:
  data:
    stage: task_data
    config: {{source: {{format: jsonl, train: "{folder}/train.jsonl", test: "{folder}/test.jsonl"}}, name: topic}}
  model:
    stage: finetune
    inputs: {{data: data, start: "{start}"}}
    config: {{max_seq_length: 32, train_batch_size: 16, max_steps: 3, num_threads: 1}}
  scores: {{stage: evaluate, inputs: {{model: model, data: data}}}}
"""
SWEEP = """\
pipeline: swept.yaml
stage: model
n_trials: 2
space:
  learning_rate: {low: 1e-4, high: 1e-2, log: true}
  max_steps: {type: int, low: 2, high: 4}
  adversarial: {choices: [null, {method: fgm}]}
"""


@pytest.fixture
def sweep_file(made_up: Path, tiny_start: Path, tmp_path: Path) -> Path:
    (tmp_path / "swept.yaml").write_text(PIPELINE.format(folder=made_up, start=tiny_start))
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return path


def test_trials_are_kept_and_a_longer_sweep_goes_on(sweep_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    root, out = tmp_path / "root", tmp_path / "out"
    first = search(read_sweep(sweep_file, []), out, root=root)
    made = {path: path.stat().st_mtime_ns for path in root.glob("finetune/*/manifest.json")}
    assert len(made) == 2

    longer = search(read_sweep(sweep_file, ["n_trials=4"]), out, root=root)
    assert longer["trials"][:2] == first["trials"]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert not (root / "evaluate").exists()  # the test split is never scored

    trials = longer["trials"]
    assert longer["best"]["value"] == max(trial["value"] for trial in trials)
    for trial in trials:
        assert 1e-4 <= trial["values"]["learning_rate"] <= 1e-2
        assert trial["values"]["max_steps"] in (2, 3, 4)
        config = json.loads((Path(trial["results"][0]) / "manifest.json").read_text())["identity"]["config"]
        assert config["learning_rate"] == trial["values"]["learning_rate"]
        predictor = json.loads((Path(trial["results"][0]) / "predictor.json").read_text())
        assert trial["value"] == predictor["best_metric"]
    assert longer == json.loads((out / "sweep.json").read_text())
    table = (out / "sweep.md").read_text()
    assert "4 of 4 trials; accuracy on the validation split" in table
    assert all(line in table for line in longer["best"]["overrides"])
    latest = (root / "latest" / "swept" / "model").resolve()
    assert latest == Path(longer["best"]["results"][0]).resolve()


def test_a_trial_that_diverges_has_failed_and_the_others_go_on(sweep_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    space = "{learning_rate: {choices: [1e-3, 1e38]}}"
    text = sweep_file.read_text().split("space:")[0] + f"space: {space}\nsampler: random\nseed: 0\n"
    sweep_file.write_text(text)
    result = search(read_sweep(sweep_file, ["n_trials=4"]), tmp_path / "out", root=tmp_path / "root")
    by_rate = {trial["values"]["learning_rate"]: trial for trial in result["trials"]}
    assert by_rate[1e38]["value"] is None
    assert by_rate[1e38]["error"]
    assert [trial["number"] for trial in result["trials"]] == [1, 2, 3, 4]
    assert len({tuple(trial["results"]) for trial in result["trials"]}) == 2
    assert result["best"]["values"] == {"learning_rate": 1e-3}
    assert "failed" in (tmp_path / "out" / "sweep.md").read_text()

    sweep_file.write_text(text.replace("1e-3, ", ""))
    with pytest.raises(NumericError, match="no trial"):
        search(read_sweep(sweep_file, ["n_trials=1"]), tmp_path / "out", root=tmp_path / "root")


def test_without_optuna_the_remedy_says_how_to_install_it(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(HostError, match=r"pip install 'bertkit\[sweep\]'"):
        search(read_sweep(sweep_file, []), tmp_path / "out", root=tmp_path / "root")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("stage: model", "stage: modell"), "did you mean 'model'"),
        (("stage: model", "stage: data"), "data is of stage task_data"),
        (("learning_rate:", "learning_rte:"), "did you mean 'learning_rate'"),
        (("low: 2", "low: 0"), "max_steps"),
        (("learning_rate:", "seed:"), "the space has seed"),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    sweep_file: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    pytest.importorskip("optuna")
    sweep_file.write_text(sweep_file.read_text().replace(*change))
    with pytest.raises(ConfigError, match=message):
        search(read_sweep(sweep_file, []), tmp_path / "out", root=tmp_path / "root")
    assert not (tmp_path / "out").exists()


def test_one_number_of_training_rows_is_tried(sweep_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    sweep = read_sweep(sweep_file, [])
    text = sweep.pipeline.read_text()
    sweep.pipeline.write_text(text.replace("    stage: finetune\n", "    stage: finetune\n    train_sizes: [20, 40]\n"))
    with pytest.raises(ConfigError, match="tries one number of training rows, and model has train_sizes"):
        search(sweep, tmp_path / "out", root=tmp_path / "root")


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ("{}", "either choices, or low and high"),
        ("{low: 2, high: 1}", "low must be below high"),
        ("{low: 0, high: 1, log: true}", "above 0"),
        ("{type: int, low: 0.5, high: 2}", "whole numbers"),
        ("{choices: [1], log: true}", "choices stand alone"),
        ("{choices: []}", "space.x.choices"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(tmp_path: Path, dimension: str, message: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(f"pipeline: p.yaml\nstage: model\nspace: {{x: {dimension}}}\n")
    with pytest.raises(ConfigError, match=message):
        read_sweep(path, [])


def test_values_are_written_as_a_recipe_takes_them() -> None:
    assert as_overrides({"learning_rate": 3e-05, "loss.type": "focal", "ema_decay": None}) == [
        "learning_rate=3e-05",
        'loss.type="focal"',
        "ema_decay=null",
    ]


def test_the_command_prints_the_best_values_and_ends_with_its_exit_codes(sweep_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    typer_testing = pytest.importorskip("typer.testing")
    from bertkit.cli import app

    root = tmp_path / "root"
    done = typer_testing.CliRunner().invoke(app, ["sweep", str(sweep_file), "n_trials=1", "--root", str(root)])
    assert done.exit_code == 0, done.output
    best = json.loads((root / "sweeps" / "sweep" / "sweep.json").read_text())["best"]
    assert " ".join(best["overrides"]) in done.output
    wrong = typer_testing.CliRunner().invoke(app, ["sweep", str(sweep_file), "n_trial=1", "--root", str(root)])
    assert isinstance(wrong.exception, ConfigError)
    assert "did you mean 'n_trials'" in str(wrong.exception)
