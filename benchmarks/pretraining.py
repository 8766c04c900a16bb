"""Pretraining steps of bertkit and of a plain Hugging Face loop, taking turns: real tokens a second, and the ratio.

    python benchmarks/pretraining.py [--pairs 5] [--steps 12] [--case NAME ...] [--device cpu] [--mixed-precision no]
    python benchmarks/pretraining.py --case mini-8k --minutes 10 --pairs 1      # held-out loss after equal time
    python benchmarks/pretraining.py --without memory dropout attention head optimizer   # what each part buys

The peer is `BertForPreTraining` in an accelerate loop as one writes it: logits for every position, padding to the
maximum, `torch.optim.AdamW`. It gets the sequences and masks that bertkit made, as tensors ready in memory; bertkit
makes its own as it goes. Each turn is a process of its own. First both take a few steps without dropout from the same
weights, and their losses must agree.
"""

import argparse
import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEXT = ROOT / "../shared/data/wiki_en/wiki_en_00.txt.bz2"
WARM_UP, COMPARED = 3, 5  # steps before the clock starts; steps whose losses are compared
TOLERANCE = 1e-4
PEAK, WEIGHT_DECAY = 1e-3, 0.01
HELDOUT = 256  # sequences
PARTS = ("memory", "dropout", "attention", "head", "optimizer")


def learning_rate(step: int) -> float:
    """A hundred steps of warm-up, then constant: the same at every step for a run of any length."""
    return PEAK * min(1.0, step / 100)


@dataclass(frozen=True)
class Case:
    """A model, a vocabulary and a batch, and the ratio that is asked for."""

    layers: int
    hidden: int
    vocabulary: int
    length: int = 128
    batch: int = 32
    bar: float | None = None


CASES = {
    "tiny-30k": Case(2, 128, 30_522, bar=4.0),
    "mini-30k": Case(4, 256, 30_522, bar=3.0),
    "mini-8k": Case(4, 256, 8_192, bar=1.6),
    "base-128": Case(12, 768, 30_522, batch=256),
    "base-512": Case(12, 768, 30_522, length=512, batch=64),
}
ON_CPU = ("tiny-30k", "mini-30k", "mini-8k")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(ON_CPU))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--minutes", type=float, help="train each side for so long and compare held-out losses")
    parser.add_argument("--without", nargs="+", choices=PARTS, help="time bertkit without a part instead of the peer")
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--mixed-precision", default="no", choices=("no", "bf16"))
    parser.add_argument("--work", type=Path, help="where the stores are kept between runs")
    parser.add_argument("--turn", nargs=2, metavar=("SIDE", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        turn = train_for_minutes if options.minutes else take_turn
        print(json.dumps(turn(options, *options.turn)))
        return 0
    if not options.text.is_file():
        print(f"skipped: {options.text} is not there")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        options.work = options.work or Path(scratch)
        judge = compare_after_minutes if options.minutes else compare_parts if options.without else compare
        return max([judge(options, name) for name in options.case])


# --- the judge -------------------------------------------------------------------------------------------------


def compare(options: argparse.Namespace, name: str) -> int:
    """Print a case's line; 1 when losses differ or the ratio is under the bar."""
    case = CASES[name]
    make_store(options, case)
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    for _ in range(options.pairs):
        theirs.append(in_process(options, "peer", name))
        ours.append(in_process(options, "bertkit", name))
    ratios = [a["tokens_per_second"] / b["tokens_per_second"] for a, b in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    apart = max(abs(a - b) / b for a, b in zip(ours[0]["losses"], theirs[0]["losses"], strict=True))
    figures = {key: statistics.median(turn[key] for turn in ours) for key in ours[0] if key != "losses"}
    print(
        f"{name}: {ratio:.2f}x the peer's real tokens/s (pairs {', '.join(f'{r:.2f}' for r in ratios)}"
        f"{f'; asked for: {case.bar}' if case.bar else ''}); losses of {COMPARED} steps within {apart:.1e}\n"
        f"  bertkit {figures['tokens_per_second']:,.0f} tokens/s, {figures['non_padding']:.1%} no padding, "
        f"{figures['mfu']:.1%} of {figures['ceiling'] / 1e9:,.0f} GFLOP/s in matrix products; "
        f"its data alone {figures['data_tokens_per_second']:,.0f} tokens/s "
        f"({figures['data_tokens_per_second'] / figures['tokens_per_second']:.0f}x)",
        flush=True,
    )
    return int(apart > TOLERANCE or (case.bar is not None and ratio < case.bar))


def compare_after_minutes(options: argparse.Namespace, name: str) -> int:
    """Print both sides' held-out losses after the same time of training; 1 when bertkit's is not the lower."""
    make_store(options, CASES[name])
    worse = 0
    for _ in range(options.pairs):
        theirs, ours = (in_process(options, side, name) for side in ("peer", "bertkit"))
        for side, turn in (("peer", theirs), ("bertkit", ours)):
            curve = ", ".join(f"{loss:.3f} at {minute:g}" for minute, loss in turn["curve"])
            print(f"{name}: {side} took {turn['steps']} steps; held-out masked-LM loss by minute: {curve}", flush=True)
        worse += ours["curve"][-1][1] >= theirs["curve"][-1][1]
    return int(worse > 0)


def compare_parts(options: argparse.Namespace, name: str) -> int:
    """Print how many times faster the whole is than without each part."""
    make_store(options, CASES[name])
    for part in options.without:
        ratios = []
        for _ in range(options.pairs):
            less, whole = (in_process(options, side, name)["tokens_per_second"] for side in (part, "bertkit"))
            ratios.append(whole / less)
        print(f"{name}: {statistics.median(ratios):.2f}x with {part} ({', '.join(f'{r:.2f}' for r in ratios)})")
    return 0


def in_process(options: argparse.Namespace, side: str, name: str) -> dict[str, Any]:
    """One turn of one side, in a fresh process."""
    shared = ["--steps", str(options.steps), "--device", options.device, "--mixed-precision", options.mixed_precision]
    if options.minutes:
        shared += ["--minutes", str(options.minutes)]
    command = [sys.executable, __file__, "--work", str(options.work), *shared, "--turn", side, name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    turn: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return turn


def make_store(options: argparse.Namespace, case: Case) -> None:
    """A store of some 20 MB of text with a vocabulary of the case's size, made by bertkit's own stages."""
    corpus, tokenizer, store = (options.work / f"{part}" for part in ("corpus", *names(case)))
    recipe("corpus", corpus, ["source.format=wiki", f"source.files={options.text.resolve()}", "max_documents=4000"], [])
    recipe("tokenizer", tokenizer, [f"vocab_size={case.vocabulary}"], [f"corpus={corpus}"])
    recipe("pretrain_data", store, [], [f"corpus={corpus}", f"tokenizer={tokenizer}"])


def names(case: Case) -> tuple[str, str]:
    return f"tokenizer-{case.vocabulary}", f"store-{case.vocabulary}"


def recipe(stage: str, out: Path, overrides: list[str], inputs: list[str]) -> None:
    """Run a stage, or find it done."""
    flags = [part for item in inputs for part in ("--input", item)]
    command = [sys.executable, str(ROOT / f"recipes/{stage}.py"), "--out", str(out), *flags, *overrides]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# --- the two sides ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """An optimizer step: its loss, its real tokens, and what it took."""

    loss: float
    tokens: int
    seconds: float


def take_turn(options: argparse.Namespace, side: str, name: str) -> dict[str, Any]:
    """Losses of the first steps without dropout, then speed with it."""
    case, accelerator, steps = prepare(options, side, name)
    data = read_data(options, case)[0]
    plain = steps(new_model(case, data.store.vocab_size, 0.0), data, case, accelerator)
    losses = [step.loss for step in islice(plain, COMPARED)]
    model = new_model(case, data.store.vocab_size, 0.1)
    timed = list(islice(steps(model, data, case, accelerator), WARM_UP + options.steps))[WARM_UP:]
    seconds = sum(step.seconds for step in timed)
    turn = {"losses": losses, "tokens_per_second": sum(step.tokens for step in timed) / seconds}
    return turn | (own_figures(options, case, accelerator, seconds) if side == "bertkit" else {})


def train_for_minutes(options: argparse.Namespace, side: str, name: str) -> dict[str, Any]:
    """Train without dropout, for little text is seen twice; held-out losses at five moments of the training time."""
    case, accelerator, steps = prepare(options, side, name)
    data, heldout = read_data(options, case)
    model = new_model(case, data.store.vocab_size, 0.0)
    curve: list[tuple[float, float]] = []
    taken, count = 0.0, 0
    for step in steps(model, data, case, accelerator):
        taken, count = taken + step.seconds, count + 1
        if taken >= 60 * options.minutes * (len(curve) + 1) / 5:
            curve.append((options.minutes * (len(curve) + 1) / 5, heldout_loss(model, heldout, accelerator)))
        if len(curve) == 5:
            break
    return {"steps": count, "curve": curve}


def leave_out(part: str) -> None:
    """Put plain torch in the place of one part of bertkit."""
    from torch.nn import functional

    from bertkit.models import bert

    def plain_head(hidden: Any, weight: Any, bias: Any, labels: Any) -> Any:
        logits = functional.linear(hidden, weight, bias).float()
        return functional.cross_entropy(logits, labels, reduction="sum"), (logits.argmax(-1) == labels).sum()

    def nothing(model: Any) -> None:
        pass

    replaced = {"dropout": "install_dropout", "attention": "install_attention", "head": "masked_lm_loss"}
    if part in replaced:
        setattr(bert, replaced[part], plain_head if part == "head" else nothing)


def prepare(options: argparse.Namespace, side: str, name: str) -> tuple[Case, Any, Any]:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=options.device == "cpu", mixed_precision=options.mixed_precision)
    if side == "peer":
        return CASES[name], accelerator, peer_steps
    from bertkit.training.memory import reuse_freed_memory

    leave_out(side)
    if side != "memory":
        reuse_freed_memory()  # as every training stage does
    return CASES[name], accelerator, partial(bertkit_steps, fused=side != "optimizer")


def heldout_loss(model: Any, heldout: Any, accelerator: Any) -> float:
    from bertkit.models.bert import PretrainingLoss
    from bertkit.training.loop import evaluate

    # A copy, because bertkit changes how a model computes.
    objective = PretrainingLoss(copy.deepcopy(model))
    sums = evaluate(objective, heldout.heldout(32, HELDOUT, rank=0, world_size=1), accelerator)
    return float(sums["mlm_loss"] / sums["mlm_count"])


def new_model(case: Case, vocabulary: int, dropout: float) -> Any:
    import torch
    from transformers import BertConfig, BertForPreTraining

    torch.manual_seed(0)
    return BertForPreTraining(
        BertConfig(
            num_hidden_layers=case.layers,
            hidden_size=case.hidden,
            num_attention_heads=case.hidden // 64,
            intermediate_size=4 * case.hidden,
            vocab_size=vocabulary,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
    )


def read_data(options: argparse.Namespace, case: Case) -> Any:
    """bertkit's training and held-out sequences."""
    from bertkit.artifacts import PretrainData, Tokenizer
    from bertkit.stages.pretrain import PretrainConfig
    from bertkit.stages.pretrain import read_data as read_sequences

    config = PretrainConfig(max_seq_length=case.length)
    tokenizer, store = (options.work / part for part in names(case))
    return read_sequences(config, PretrainData.open(store), Tokenizer.open(tokenizer))


def bertkit_steps(model: Any, data: Any, case: Case, accelerator: Any, *, fused: bool) -> Iterator[Step]:
    """The steps of bertkit's own loop, data included."""
    from bertkit.models.bert import PretrainingLoss
    from bertkit.training.loop import train_steps

    objective = accelerator.prepare(PretrainingLoss(model))
    batches = data.batches(case.batch, case.batch, rank=0, world_size=1)
    optimizer = make_optimizer(objective, fused=fused or None)
    for result in train_steps(
        objective, batches, optimizer, accelerator, learning_rate=learning_rate, max_grad_norm=1.0, seed=0
    ):
        yield Step(result.loss, result.tokens, result.seconds)


def peer_steps(model: Any, data: Any, case: Case, accelerator: Any) -> Iterator[Step]:
    """The steps of a plain loop, from the moment that its batch is ready."""
    model, optimizer = accelerator.prepare(model, make_optimizer(model, fused=None))
    model.train()
    for step, (batch, tokens) in enumerate(ready_batches(data, case), start=1):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        batch = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
        optimizer.zero_grad()
        loss = model(**batch).loss
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield Step(loss.item(), tokens, time.perf_counter() - started)


def make_optimizer(model: Any, *, fused: bool | None) -> Any:
    import torch

    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK, eps=1e-6, fused=fused)


def ready_batches(data: Any, case: Case) -> Iterator[tuple[dict[str, Any], int]]:
    """bertkit's batches as `BertForPreTraining` takes them: padded to the maximum, a label for every position."""
    import numpy as np
    import torch

    for batch in data.batches(case.batch, case.batch, rank=0, world_size=1):
        arrays = batch.micro_batches[0][1]
        rows, width = arrays["input_ids"].shape
        labels = np.full(rows * width, -100)
        labels[arrays["masked_positions"]] = arrays["masked_labels"]
        mask = arrays.get("attention_mask", np.ones((rows, width), dtype=np.int64))
        columns = {
            "input_ids": (arrays["input_ids"], data.special.pad),
            "token_type_ids": (arrays["token_type_ids"], 0),
            "attention_mask": (mask, 0),
            "labels": (labels.reshape(rows, width), -100),
        }
        padded = {
            name: torch.from_numpy(np.pad(array, ((0, 0), (0, case.length - width)), constant_values=fill))
            for name, (array, fill) in columns.items()
        }
        padded["next_sentence_label"] = torch.from_numpy(arrays["next_sentence_label"])
        yield padded, batch.tokens


def own_figures(options: argparse.Namespace, case: Case, accelerator: Any, seconds: float) -> dict[str, float]:
    """bertkit's share of the ceiling over the timed steps, and the speed of its data alone."""
    from bertkit.models.flops import training_flops
    from bertkit.training.ceiling import peak_flops

    data = read_data(options, case)[0]
    config = new_model(case, data.store.vocab_size, 0.0).config
    flops, tokens, computed = 0.0, 0, 0
    batches = data.batches(case.batch, case.batch, rank=0, world_size=1)
    for number, batch in zip(range(WARM_UP + options.steps), batches, strict=False):
        if number >= WARM_UP:
            flops += sum(training_flops(config, arrays) for _, arrays in batch.micro_batches)
            tokens, computed = tokens + batch.tokens, computed + batch.padded_tokens
    made, taken = data_alone(read_data(options, case)[0], case)
    ceiling = peak_flops(accelerator.device, options.mixed_precision)
    return {
        "mfu": flops / seconds / ceiling,
        "ceiling": ceiling,
        "non_padding": tokens / computed,
        "data_tokens_per_second": made / taken,
    }


def data_alone(data: Any, case: Case) -> tuple[int, float]:
    """Tokens of an epoch, its plan included, and the seconds to make them."""
    made, started = 0, time.perf_counter()
    for batch in data.batches(case.batch, case.batch, rank=0, world_size=1):
        if batch.position.epoch:
            break
        made += batch.tokens
    return made, time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
