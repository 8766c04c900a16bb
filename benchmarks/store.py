"""The token store against Google's way of making pretraining data, on real text, taking turns.

    python benchmarks/store.py [CORPUS.txt.bz2] [--articles 600] [--rounds 5] [--vocabulary vocab.txt]

The peer does what `create_pretraining_data.py` does (Devlin et al. 2019): it tokenizes, then makes the instances of
`dupe_factor` 5 in Python, with pairs and masks fixed for good, and writes them as JSON lines. It is measured twice: with a
WordPiece in Python, as Google's, and with the `tokenizers` library in its place. Ours is the stage `pretrain_data` as a
pipeline runs it: parity probe, hashes and manifest included. Each run is a process of its own; reading the corpus is part
of all, starting Python and importing libraries of none. The sample is small because the peer takes some twenty
seconds for it: on more text ours gains, because its fixed costs stay the same.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ROOT / "../shared/data/wiki_en/wiki_en_00.txt.bz2"
VOCABULARY = ROOT / "../shared/data/vocab/bert-base-uncased-vocab.txt"
BAR = 15.0
CONTENDERS = ("ours", "google, its own WordPiece", "google, tokenizers")
DUPES, LENGTH, SHORT, SHARE, MOST_MASKED = 5, 128, 0.1, 0.15, 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--articles", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--run", nargs=2, metavar=("CONTENDER", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--encoder", default="auto", help="what ours tokenizes with: auto, tokenizers or nanotoken")
    options = parser.parse_args()
    if options.run:
        return run(options.run[0], Path(options.run[1]), options.encoder)
    if missing := [path for path in (options.file, options.vocabulary) if not path.is_file()]:
        print(f"skipped: {missing[0]} is not there")
        return 0
    with tempfile.TemporaryDirectory() as name:
        prepare(options, Path(name))
        return compare(options, Path(name))


def prepare(options: argparse.Namespace, folder: Path) -> None:
    """The corpus and the tokenizer that all read."""
    from bertkit import storage
    from bertkit.config import build, parse_overrides
    from bertkit.stages.corpus import CorpusConfig, corpus
    from bertkit.text import wordpiece

    settings = ["source.format=wiki", f"source.files={options.file.resolve()}", f"max_documents={options.articles}"]
    config = build(CorpusConfig, parse_overrides([*settings, "num_workers=1"]))
    corpus.run(config, {}, folder / "corpus", corpus.identity(config, {}, storage.Digests()))
    tokens = options.vocabulary.read_text(encoding="utf-8").splitlines()
    storage.make_directory(folder / "tokenizer")
    wordpiece.save(tokens, folder / "tokenizer", casing=wordpiece.Casing(), model_max_length=512)


def compare(options: argparse.Namespace, folder: Path) -> int:
    """Print medians and ratios; 1 when ours is below the bar against Google's own."""
    from corpus import sum_of_text

    text = sum_of_text(folder / "corpus")
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    ratios: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    peaks = dict.fromkeys(CONTENDERS, 0.0)
    for _ in range(options.rounds):
        for name in CONTENDERS:
            taken, peak = in_a_process(name, folder, options.encoder)
            seconds[name].append(taken)
            ratios[name].append(taken / seconds["ours"][-1])
            peaks[name] = max(peaks[name], peak)
    print(f"{text:.1f} MB of text, {options.rounds} rounds, medians")
    for name in CONTENDERS:
        median = statistics.median(seconds[name])
        print(
            f"{name:26} {median:7.2f} s {text / median:7.2f} MB/s  peak {peaks[name]:4.0f} MB  "
            f"{statistics.median(ratios[name]):6.1f} times ours"
        )
    reached = statistics.median(ratios["google, its own WordPiece"])
    print(f"{reached:.1f} times as fast as Google's algorithm in Python (bar {BAR:.0f})")
    return int(reached < BAR)


def in_a_process(name: str, folder: Path, encoder: str) -> tuple[float, float]:
    """Seconds of the work, and the highest memory of the process tree in MB."""
    from corpus import tree_memory

    command = [sys.executable, __file__, "--run", name, str(folder), "--encoder", encoder]
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.02)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{name} ended with exit code {process.returncode}")
    return float(printed.split()[-1]), peak / 1e6


def run(name: str, folder: Path, encoder: str) -> int:
    """One run; prints its seconds."""
    with tempfile.TemporaryDirectory() as out:
        seconds = ours(folder, Path(out), encoder) if name == "ours" else google(folder, Path(out), name)
    print(seconds)
    return 0


def ours(folder: Path, out: Path, encoder: str) -> float:
    import bertkit.data.token_store
    import bertkit.data.worker_pool
    import bertkit.text.encoder_parity  # noqa: F401
    from bertkit import storage
    from bertkit.artifacts import Corpus, Tokenizer
    from bertkit.config import build, parse_overrides
    from bertkit.stages.pretrain_data import PretrainDataConfig, pretrain_data

    config = build(PretrainDataConfig, parse_overrides([f"encoder={encoder}"]))
    started = time.perf_counter()
    inputs = {"corpus": Corpus.open(folder / "corpus"), "tokenizer": Tokenizer.open(folder / "tokenizer")}
    names = {name: one.fingerprint for name, one in inputs.items()}
    pretrain_data.run(config, inputs, out / "store", pretrain_data.identity(config, names, storage.Digests()))
    return time.perf_counter() - started


# --- the peer ------------------------------------------------------------------------------------------------------


def google(folder: Path, out: Path, name: str) -> float:
    """Tokenize everything, keep it in memory, make `DUPES` times the instances, shuffle and write them."""
    from bertkit.artifacts import Corpus
    from bertkit.text.wordpiece import load_encoder

    entries = (folder / "tokenizer" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    encoder = load_encoder(folder / "tokenizer")
    python = PythonWordPiece(entries)
    corpus = Corpus.open(folder / "corpus")
    started = time.perf_counter()
    draw = random.Random(12345)
    documents = []
    for split in ("train", "heldout"):
        for _, sentences in corpus.documents(split):
            if name.endswith("tokenizers"):
                pieces = [one.tokens for one in encoder.encode_batch(sentences, add_special_tokens=False)]
            else:
                pieces = [python.tokenize(sentence) for sentence in sentences]
            if document := [one for one in pieces if one]:
                documents.append(document)
    draw.shuffle(documents)
    instances = [
        instance
        for _ in range(DUPES)
        for number in range(len(documents))
        for instance in instances_of(documents, number, entries, draw)
    ]
    draw.shuffle(instances)
    numbers = {entry: number for number, entry in enumerate(entries)}
    with (out / "instances.jsonl").open("w", encoding="utf-8") as file:
        for instance in instances:
            file.write(json.dumps(as_features(instance, numbers)) + "\n")
    return time.perf_counter() - started


class PythonWordPiece:
    """Basic and WordPiece tokenization a character at a time, as the paper's code does it."""

    def __init__(self, entries: list[str]) -> None:
        self.entries = set(entries)

    def tokenize(self, text: str) -> list[str]:
        return [piece for word in self._words(text) for piece in self._pieces(word)]

    def _words(self, text: str) -> list[str]:
        spaced = []
        for character in text:
            code = ord(character)
            if code in (0, 0xFFFD) or (unicodedata.category(character)[0] == "C" and character not in "\t\n\r"):
                continue
            if character in " \t\n\r" or unicodedata.category(character) == "Zs":
                spaced.append(" ")
            elif 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF or code >= 0x20000:
                spaced.append(f" {character} ")
            else:
                spaced.append(character)
        words = []
        for word in "".join(spaced).split():
            bare = [c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn"]
            opens = True
            for character in bare:
                if self._is_punctuation(character):
                    words.append(character)
                    opens = True
                else:
                    if opens:
                        words.append("")
                    opens = False
                    words[-1] += character
        return words

    @staticmethod
    def _is_punctuation(character: str) -> bool:
        code = ord(character)
        ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
        return ascii_sign or unicodedata.category(character)[0] == "P"

    def _pieces(self, word: str) -> list[str]:
        if len(word) > 100:
            return ["[UNK]"]
        pieces = []
        start = 0
        while start < len(word):
            end = len(word)
            while start < end:
                piece = ("##" if start else "") + word[start:end]
                if piece in self.entries:
                    break
                end -= 1
            else:
                return ["[UNK]"]
            pieces.append(piece)
            start = end
        return pieces


def instances_of(
    documents: list[list[list[str]]], number: int, entries: list[str], draw: random.Random
) -> list[dict[str, Any]]:
    """The sequences of one document: chunks of whole sentences, half of them with a random second part, masked."""
    document = documents[number]
    room = LENGTH - 3
    target = draw.randint(2, room) if draw.random() < SHORT else room
    instances = []
    chunk: list[list[str]] = []
    length = at = 0
    while at < len(document):
        chunk.append(document[at])
        length += len(document[at])
        if at == len(document) - 1 or length >= target:
            a_end = draw.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
            a = [token for sentence in chunk[:a_end] for token in sentence]
            b: list[str] = []
            random_next = len(chunk) == 1 or draw.random() < 0.5
            if random_next:
                other = number
                for _ in range(10):
                    other = draw.randint(0, len(documents) - 1)
                    if other != number:
                        break
                for sentence in documents[other][draw.randint(0, len(documents[other]) - 1) :]:
                    b.extend(sentence)
                    if len(b) >= target - len(a):
                        break
                at -= len(chunk) - a_end
            else:
                b = [token for sentence in chunk[a_end:] for token in sentence]
            while len(a) + len(b) > room:
                longer = a if len(a) > len(b) else b
                longer.pop(0 if draw.random() < 0.5 else -1)
            if a and b:
                tokens = ["[CLS]", *a, "[SEP]", *b, "[SEP]"]
                instances.append({**masked(tokens, entries, draw), "first": len(a) + 2, "random_next": random_next})
            chunk, length = [], 0
        at += 1
    return instances


def masked(tokens: list[str], entries: list[str], draw: random.Random) -> dict[str, Any]:
    """15 % of the tokens, of them 80 % [MASK], 10 % another token, 10 % left."""
    places = [i for i, token in enumerate(tokens) if token not in ("[CLS]", "[SEP]")]
    draw.shuffle(places)
    chosen = sorted(places[: min(MOST_MASKED, max(1, round(len(tokens) * SHARE)))])
    shown = list(tokens)
    for place in chosen:
        kind = draw.random()
        if kind < 0.8:
            shown[place] = "[MASK]"
        elif kind < 0.9:
            shown[place] = entries[draw.randint(0, len(entries) - 1)]
    return {"tokens": shown, "places": chosen, "labels": [tokens[i] for i in chosen]}


def as_features(instance: dict[str, Any], numbers: dict[str, int]) -> dict[str, list[int]]:
    """An instance as padded ids, as the model reads it."""
    tokens, first = instance["tokens"], instance["first"]
    rest, gap = LENGTH - len(tokens), MOST_MASKED - len(instance["places"])
    return {
        "input_ids": [numbers[token] for token in tokens] + [0] * rest,
        "input_mask": [1] * len(tokens) + [0] * rest,
        "segment_ids": [0] * first + [1] * (len(tokens) - first) + [0] * rest,
        "masked_lm_positions": instance["places"] + [0] * gap,
        "masked_lm_ids": [numbers[token] for token in instance["labels"]] + [0] * gap,
        "masked_lm_weights": [1] * len(instance["places"]) + [0] * gap,
        "next_sentence_labels": [int(instance["random_next"])],
    }


if __name__ == "__main__":
    sys.exit(main())
