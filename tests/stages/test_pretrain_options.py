"""What the options of training do to a whole run: averages, recomputation, precision, phases, foreign models."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForPreTraining, AutoTokenizer, BertConfig, BertForPreTraining

from bertkit import storage
from bertkit.artifacts import Checkpoint, Corpus, PretrainData, Tokenizer
from bertkit.config import build, parse_overrides
from bertkit.errors import ConfigError, TerminatedError
from bertkit.pipeline.graph import make_plan
from bertkit.stages import load

SMALL = [
    "model.num_hidden_layers=2",
    "model.hidden_size=32",
    "model.intermediate_size=64",
    "model.initializer_range=0.1",
    "max_seq_length=32",
    "train_batch_size=8",
    "micro_batch_size=4",
    "max_steps=6",
    "eval_steps=3",
    "max_eval_samples=16",
    "logging_steps=2",
    "learning_rate=5e-3",
    "num_threads=1",
    "peak_flops=1e11",
]


def run(stage: str, out: Path, overrides: list[str], **inputs: Any) -> Any:
    declared = load(stage)
    config = build(declared.config, parse_overrides(overrides))
    identity = declared.identity(config, {k: v.fingerprint for k, v in inputs.items()}, storage.Digests())
    return declared.run(config, inputs, out, identity)


@pytest.fixture(scope="module")
def corpus(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    source = ["source.format=text", f"source.files={made_up / 'corpus.txt'}", "num_workers=0", "heldout_percentage=10"]
    return run("corpus", tmp_path_factory.mktemp("made") / "corpus", source)


@pytest.fixture(scope="module")
def tokenizer(corpus: Corpus) -> Tokenizer:
    return run("tokenizer", corpus.path.parent / "tokenizer", ["vocab_size=150"], corpus=corpus)


@pytest.fixture(scope="module")
def data(corpus: Corpus, tokenizer: Tokenizer) -> PretrainData:
    return run("pretrain_data", corpus.path.parent / "data", [], corpus=corpus, tokenizer=tokenizer)


def pretrain(out: Path, data: PretrainData, tokenizer: Tokenizer, *overrides: str, **inputs: Any) -> Checkpoint:
    return run("pretrain", out, [*SMALL, *overrides], data=data, tokenizer=tokenizer, **inputs)


@pytest.fixture(scope="module")
def plain(data: PretrainData, tokenizer: Tokenizer) -> Checkpoint:
    return pretrain(data.path.parent / "plain", data, tokenizer)


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return load_file(checkpoint.path / "model.safetensors")


def same(a: Checkpoint, b: Checkpoint) -> bool:
    left, right = weights(a), weights(b)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def rows(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (checkpoint.path / "log.jsonl").read_text().splitlines()]


def test_recomputing_activations_changes_no_bit_though_dropout_is_on(
    plain: Checkpoint, data: PretrainData, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    assert BertConfig.from_pretrained(plain.path).hidden_dropout_prob == 0.1
    again = pretrain(tmp_path / "out", data, tokenizer, "gradient_checkpointing=true")
    assert same(plain, again)


def test_the_log_tells_speed_padding_and_utilisation(plain: Checkpoint) -> None:
    steps = [row for row in rows(plain) if "loss" in row]
    for row in steps:
        assert 0.3 < row["non_padding"] <= 1
        assert 0 < row["mfu"] < 1
    assert json.loads((plain.path / "trainer_state.json").read_text())["peak_flops"] == 1e11


def interrupted(out: Path, monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> Checkpoint:
    """A run that ends after its fourth step, which is saved, and one that goes on from there."""
    from bertkit.stages.session import Session

    steps = Session.steps

    def until_four(self: Any, batches: Any) -> Any:
        for result in steps(self, batches):
            yield result
            if result.step == 4:
                self.save()
                raise TerminatedError("enough")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "steps", until_four)
        with pytest.raises(TerminatedError):
            pretrain(out, *arguments)
    assert list(out.glob("checkpoint-4"))
    return pretrain(out, *arguments)


@pytest.mark.parametrize("options", [["ema_decay=0.5"], ["optim=lamb"], ["optim=muon", "ema_decay=0.9"]], ids=str)
def test_a_cut_run_with_options_is_bit_identical(
    data: PretrainData, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    whole = pretrain(tmp_path / "whole", data, tokenizer, *options)
    cut = interrupted(tmp_path / "cut", monkeypatch, data, tokenizer, *options)
    assert same(whole, cut)
    figures = [[row for row in rows(one) if "eval_mlm_loss" in row] for one in (whole, cut)]
    assert figures[0] == figures[1]


def test_the_averaged_weights_are_measured_and_kept(
    plain: Checkpoint, data: PretrainData, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    averaged = pretrain(tmp_path / "out", data, tokenizer, "ema_decay=0.9")
    losses = [[row["loss"] for row in rows(one) if "loss" in row] for one in (plain, averaged)]
    assert losses[0] == losses[1], "training itself is as it was"
    assert not same(plain, averaged)
    heldout = [[row["eval_mlm_loss"] for row in rows(one) if "eval_mlm_loss" in row] for one in (plain, averaged)]
    assert heldout[0][0] == heldout[1][0]
    assert heldout[0][-1] != heldout[1][-1]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["optim=sgd", "adam_beta1=0.8"], "adam_beta1: not read by optim sgd"),
        (["momentum=0.8"], "momentum: not read by optim adamw"),
        (["lr_scheduler_type=cosine", "power=2"], "power: not read by lr_scheduler_type cosine"),
        (["optim=adamwx"], "'sgd'"),
        (["optim=sgd", "momentum=0", "nesterov=true"], "nesterov needs a momentum"),
        (["ema_decay=1"], "less than 1"),
    ],
)
def test_an_option_that_would_do_nothing_is_a_mistake(option: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(load("pretrain").config, parse_overrides(option))


def test_warm_up_and_decay_must_fit_into_the_run(data: PretrainData, tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="4 steps of warm-up and 3 of decay are more than the 6"):
        pretrain(
            tmp_path / "out",
            data,
            tokenizer,
            "lr_scheduler_type=warmup_stable_decay",
            "warmup_steps=4",
            "decay_steps=3",
        )


# --- phases and foreign models ---------------------------------------------------------------------------------


def test_a_second_phase_goes_on_with_longer_sequences(
    plain: Checkpoint, data: PretrainData, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    second = pretrain(tmp_path / "out", data, tokenizer, "max_seq_length=64", start=plain)
    assert rows(second)[0]["eval_mlm_loss"] < rows(plain)[0]["eval_mlm_loss"]
    model, info = AutoModelForPreTraining.from_pretrained(second.path, output_loading_info=True)
    assert not info["missing_keys"]
    assert model.config.hidden_dropout_prob == 0.1


def test_two_phases_are_two_stages_of_a_pipeline(pipeline: Path, tmp_path: Path) -> None:
    second = """\
  pretrain_512:
    stage: pretrain
    inputs: {data: pretrain_data, tokenizer: tokenizer, start: pretrain}
    config: {max_seq_length: 512, train_batch_size: 4, max_steps: 2}
  topic_data:
"""
    path = tmp_path / "two_phases.yaml"
    path.write_text(pipeline.read_text().replace("  topic_data:\n", second), encoding="utf-8")
    plan = make_plan(path, [], root=tmp_path)
    names = [node.name for node in plan.nodes]
    assert names.index("pretrain") < names.index("pretrain_512")
    before = {node.name: node.fingerprint for node in plan.nodes}
    after = {node.name: node.fingerprint for node in make_plan(path, ["pretrain.max_steps=13"], root=tmp_path).nodes}
    assert before["pretrain_512"] != after["pretrain_512"]


def test_dropout_may_change_between_phases_and_sizes_may_not(
    plain: Checkpoint, data: PretrainData, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    second = pretrain(tmp_path / "out", data, tokenizer, "model.hidden_dropout_prob=0", start=plain)
    config = BertConfig.from_pretrained(second.path)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.0, 0.1)
    with pytest.raises(ConfigError, match="model.num_hidden_layers is 3, there 2"):
        pretrain(tmp_path / "other", data, tokenizer, "model.num_hidden_layers=3", start=plain)


def foreign_folder(folder: Path, tokenizer: Tokenizer, **changes: Any) -> Path:
    """A BERT as transformers writes it: random weights, and a tokenizer of its own."""
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    vocabulary = AutoTokenizer.from_pretrained(tokenizer.path)
    model = BertForPreTraining(BertConfig(**sizes | {"vocab_size": len(vocabulary), **changes}))
    model.save_pretrained(folder)
    vocabulary.save_pretrained(folder)
    lines = sorted(vocabulary.get_vocab(), key=vocabulary.get_vocab().__getitem__)
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_foreign_bert_goes_on_with_its_own_tokenizer(corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = foreign_folder(tmp_path / "foreign", tokenizer)
    theirs, start = Tokenizer.open(folder), Checkpoint.open(folder)
    data = run("pretrain_data", tmp_path / "data", [], corpus=corpus, tokenizer=theirs)
    overrides = [item for item in SMALL if not item.startswith("model.")]
    out = run("pretrain", tmp_path / "out", overrides, data=data, tokenizer=theirs, start=start)
    _, info = AutoModelForPreTraining.from_pretrained(out.path, output_loading_info=True)
    assert not info["missing_keys"]
    before = load_file(folder / "model.safetensors")
    assert before.keys() == weights(out).keys()
    ids = AutoTokenizer.from_pretrained(folder)("The old captain found a comet.")["input_ids"]
    assert AutoTokenizer.from_pretrained(out.path)("The old captain found a comet.")["input_ids"] == ids
    losses = [row["eval_mlm_loss"] for row in rows(out) if "eval_mlm_loss" in row]
    assert losses[-1] < losses[0]


def test_sequences_over_the_started_models_positions_are_refused(
    data: PretrainData, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    short = Checkpoint.open(foreign_folder(tmp_path / "short", tokenizer, max_position_embeddings=24))
    overrides = [item for item in SMALL if not item.startswith("model.")]
    with pytest.raises(ConfigError, match="max_seq_length 32 is over the model's 24 positions"):
        run("pretrain", tmp_path / "out", overrides, data=data, tokenizer=tokenizer, start=short)
