"""Fine-tuning as one writes it with `transformers.Trainer`: the peer that benchmarks/finetuning.py measures.

Rows are those of a task that bertkit's `task_data` wrote, encoded as run_glue, run_ner and run_qa do it: padded to the
maximum, or in each batch to its longest row.
"""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

Row = dict[str, Any]


class Clock(TrainerCallback):
    """Seconds from one step's end to the next's."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._last = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now


class Rows(torch.utils.data.Dataset[Any]):
    """Encoded rows as Trainer reads them."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Row:
        return self.rows[number]


class Peer:
    """One task's encoding, model and decoding, as the example scripts have them."""

    def __init__(self, start: Path, task: dict[str, Any], *, max_length: int, stride: int, pad_to_max: bool) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(start)
        self.start, self.task, self.max_length, self.stride = start, task, max_length, stride
        self.padding: Any = "max_length" if pad_to_max else False
        self.ids = {label: i for i, label in enumerate(task.get("labels", []))}

    def train(self, rows: list[Row], *, seed: int, out: Path, **arguments: Any) -> tuple[Trainer, list[float]]:
        """A trained Trainer and the seconds of each step."""
        torch.manual_seed(seed)
        encoded = self.encode(rows)
        clock = Clock()
        settings = TrainingArguments(
            output_dir=str(out),
            seed=seed,
            use_cpu=not torch.cuda.is_available(),
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            **arguments,
        )
        trainer = Trainer(
            model=self.model(),
            args=settings,
            train_dataset=Rows(encoded),
            data_collator=self.collator(),
            callbacks=[clock],
        )
        trainer.train()
        return trainer, clock.seconds

    def predict(self, trainer: Trainer, rows: list[Row]) -> list[Row]:
        """The lines of a predictions.jsonl."""
        encoded = self.encode(rows)
        # Trainer would group by length here too, and give the predictions back in that order.
        trainer.args.train_sampling_strategy = "random"
        return self.decode(trainer.predict(Rows(encoded)).predictions, encoded, rows)

    def collator(self) -> Any:
        return DataCollatorWithPadding(self.tokenizer)

    def encode(self, rows: list[Row]) -> list[Row]:
        raise NotImplementedError

    def model(self) -> Any:
        raise NotImplementedError

    def decode(self, output: Any, encoded: list[Row], rows: list[Row]) -> list[Row]:
        raise NotImplementedError


class ClassificationPeer(Peer):
    """run_glue."""

    def encode(self, rows: list[Row]) -> list[Row]:
        texts = [[row[column] for row in rows] for column in self.task["text_columns"]]
        found = self.tokenizer(*texts, truncation=True, max_length=self.max_length, padding=self.padding)
        encoded = [{name: found[name][i] for name in found} for i in range(len(rows))]
        for one, row in zip(encoded, rows, strict=True):
            one["labels"] = self.ids[row["label"]]
        return encoded

    def model(self) -> Any:
        return AutoModelForSequenceClassification.from_pretrained(self.start, num_labels=len(self.ids))

    def decode(self, output: Any, encoded: list[Row], rows: list[Row]) -> list[Row]:
        scores = torch.from_numpy(output).double().softmax(-1).tolist()
        labels = self.task["labels"]
        return [
            {
                "id": row["id"],
                "gold": row["label"],
                "predicted": labels[int(np.argmax(own))],
                "scores": dict(zip(labels, own, strict=True)),
            }
            for row, own in zip(rows, scores, strict=True)
        ]


class TaggingPeer(Peer):
    """run_ner: the first piece of each word is labelled; what is cut off is called O."""

    def encode(self, rows: list[Row]) -> list[Row]:
        found = self.tokenizer(
            [row["tokens"] for row in rows],
            is_split_into_words=True,
            truncation=True,
            max_length=self.max_length,
            padding=self.padding,
        )
        encoded = []
        for i, row in enumerate(rows):
            words, labels, before = found.word_ids(i), [], None
            for word in words:
                labels.append(-100 if word is None or word == before else self.ids[row["tags"][word]])
                before = word
            encoded.append({name: found[name][i] for name in found} | {"labels": labels})
        return encoded

    def collator(self) -> Any:
        return DataCollatorForTokenClassification(self.tokenizer)

    def model(self) -> Any:
        return AutoModelForTokenClassification.from_pretrained(self.start, num_labels=len(self.ids))

    def decode(self, output: Any, encoded: list[Row], rows: list[Row]) -> list[Row]:
        lines = []
        for logits, one, row in zip(output, encoded, rows, strict=True):
            kept = np.array(one["labels"]) != -100
            said = [self.task["labels"][i] for i in logits[: len(kept)][kept].argmax(-1)]
            said += ["O"] * (len(row["tags"]) - len(said))
            lines.append({"id": row["id"], "tokens": row["tokens"], "gold": row["tags"], "predicted": said})
        return lines


class SpansPeer(Peer):
    """run_qa: windows with a stride, the 20 best starts and ends of each, answers up to 30 tokens."""

    def encode(self, rows: list[Row]) -> list[Row]:
        found = self.tokenizer(
            [row["question"].lstrip() for row in rows],
            [row["context"] for row in rows],
            truncation="only_second",
            max_length=self.max_length,
            stride=self.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=self.padding,
        )
        encoded = []
        for i, number in enumerate(found["overflow_to_sample_mapping"]):
            kinds, offsets = found.sequence_ids(i), found["offset_mapping"][i]
            first = kinds.index(1)
            last = len(kinds) - 1 - kinds[::-1].index(1)
            start, end = 0, 0
            for answer in rows[number]["answers"][:1]:
                begin = answer["answer_start"]
                stop = begin + len(answer["text"])
                if offsets[first][0] <= begin and offsets[last][1] >= stop:
                    start = max(j for j in range(first, last + 1) if offsets[j][0] <= begin)
                    end = min(j for j in range(first, last + 1) if offsets[j][1] >= stop)
            own = {name: found[name][i] for name in ("input_ids", "token_type_ids", "attention_mask")}
            encoded.append(own | {"start_positions": start, "end_positions": end})
            self.windows.append((number, [o if k == 1 else None for o, k in zip(offsets, kinds, strict=True)]))
        return encoded

    def predict(self, trainer: Trainer, rows: list[Row]) -> list[Row]:
        self.windows = []
        # Rows of like length together: less padding, the same answers.
        return super().predict(trainer, sorted(rows, key=lambda row: len(row["context"])))

    def train(self, rows: list[Row], **options: Any) -> tuple[Trainer, list[float]]:
        self.windows: list[tuple[int, list[Any]]] = []
        return super().train(rows, **options)

    def model(self) -> Any:
        return AutoModelForQuestionAnswering.from_pretrained(self.start)

    def decode(self, output: Any, encoded: list[Row], rows: list[Row]) -> list[Row]:
        best: dict[int, tuple[float, str]] = defaultdict(lambda: (-1e9, ""))
        for starts, ends, (number, offsets) in zip(output[0], output[1], self.windows, strict=True):
            for i in np.argsort(starts)[-20:]:
                for j in np.argsort(ends)[-20:]:
                    inside = max(i, j) < len(offsets) and offsets[i] is not None and offsets[j] is not None
                    if inside and i <= j < i + 30 and starts[i] + ends[j] > best[number][0]:
                        text = rows[number]["context"][offsets[i][0] : offsets[j][1]]
                        best[number] = (float(starts[i] + ends[j]), text)
        return [
            {
                "id": row["id"],
                "gold": [answer["text"] for answer in row["answers"]],
                "predicted": best[number][1],
                "n_best": [{"text": best[number][1], "score": best[number][0]}],
            }
            for number, row in enumerate(rows)
        ]


PEERS = {"classification": ClassificationPeer, "tagging": TaggingPeer, "spans": SpansPeer}
