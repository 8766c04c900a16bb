"""What it saves to compute the last layer at the places that are read alone: CPU time of forward and backward, taking turns.

    python benchmarks/last_layer.py [--rounds 7]

Random weights and tokens, 128 positions, 15 % of them masked; the classifier has MiniLM's shape and reads 56 positions.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from bertkit.data.pretraining import picked_places
from bertkit.models import bert
from bertkit.models.classification import ClassificationLoss

PRETRAINING = ((2, 128, 30_522, 32), (4, 256, 30_522, 32), (4, 256, 8_192, 32), (12, 768, 30_522, 8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for layers, hidden, vocabulary, rows in PRETRAINING:
        whole, picked = pretraining_steps(layers, hidden, vocabulary, rows)
        print(
            f"pretraining {layers}x{hidden}, {vocabulary:,} entries: {ratio(whole, picked, rounds):.2f} times",
            flush=True,
        )
    for train in (True, False):
        whole, picked = classifier_steps(train=train)
        print(
            f"classifier 6x384, {'training' if train else 'predicting'}: {ratio(whole, picked, rounds):.2f} times",
            flush=True,
        )


def ratio(whole: Callable[[], None], picked: Callable[[], None], rounds: int) -> float:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for step, found in zip((whole, picked), times, strict=True):
            started = time.process_time()
            step()
            found.append(time.process_time() - started)
    return statistics.median(times[0][1:]) / statistics.median(times[1][1:])


def pretraining_steps(layers: int, hidden: int, vocabulary: int, rows: int) -> tuple[Callable[[], None], ...]:
    sizes = {"num_hidden_layers": layers, "hidden_size": hidden}
    sizes |= {"num_attention_heads": hidden // 64, "intermediate_size": 4 * hidden}
    model = bert.new_pretraining_model(sizes, vocab_size=vocabulary, pad_token_id=0, seed=1)
    objective = bert.PretrainingLoss(model).train()
    random = np.random.default_rng(0)
    ids, chosen = random.integers(5, vocabulary, (rows, 128)), random.random((rows, 128)) < 0.15
    chosen[:, 0] = False
    picked, picks = picked_places(chosen)
    arrays = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "masked_positions": np.flatnonzero(chosen)}
    arrays |= {"masked_labels": ids[chosen], "next_sentence_label": np.zeros(rows, np.int64)}
    some = {"picked": picked, "masked_picks": picks}

    def step(given: dict[str, np.ndarray]) -> None:
        sums = objective({name: torch.from_numpy(array) for name, array in given.items()})
        (sums["mlm_loss"] + sums["nsp_loss"]).backward()
        objective.zero_grad()

    return lambda: step(arrays), lambda: step(arrays | some)


def classifier_steps(*, train: bool) -> tuple[Callable[[], None], ...]:
    sizes = {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
    objective = ClassificationLoss(BertForSequenceClassification(BertConfig(**sizes))).train(train)
    ids = torch.randint(1000, 20_000, (32, 56))
    batch = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "labels": torch.zeros(32, dtype=torch.long)}
    batch["attention_mask"] = (torch.arange(56) < torch.linspace(40, 56, 32)[:, None]).long()

    def step(*, whole: bool) -> None:
        with torch.set_grad_enabled(train):
            pooled = objective.model.bert.pooler(bert.last_states(objective.model, batch)) if whole else None
            pooled = bert.pooled_states(objective.model, batch) if pooled is None else pooled
            loss = objective.model.classifier(objective.model.dropout(pooled)).logsumexp(-1).sum()
            if train:
                loss.backward()
                objective.zero_grad()

    return lambda: step(whole=True), lambda: step(whole=False)


if __name__ == "__main__":
    main()
