"""What a model looks at in a text, as plain JSON that the pictures are drawn from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertkit.data.tagging.words import token_places
from bertkit.errors import DataError
from bertkit.text.wordpiece import load_encoder

Floats = NDArray[np.float64]

# Of each token, so many of the strongest lines are drawn, none weaker than this.
_MOST_LINES, _WEAKEST = 5, 0.05
# What a head may mostly look at (Clark et al. 2019): the sign that the table shows, and what it means.
PATTERNS = {
    "before": ("←", "the token before"),
    "after": ("→", "the token after"),
    "itself": ("•", "the token itself"),
    "first": ("C", "[CLS]"),
    "separator": ("S", "[SEP]"),
    "others": ("∗", "other tokens"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model looked at in a text: its `tokens`, and whether some beyond a limit were `cut`.

    `layers`, shape (layers, heads, tokens, tokens), where there are heads: row i is what token i takes. `question`,
    (tokens, tokens), of a baseline that finds spans: what each token takes from the question's. `shares`, each
    (tokens,): of which tokens one vector is made, the `text`'s or the `question`'s.
    """

    tokens: list[str]
    cut: bool
    layers: Floats
    question: Floats | None = None
    shares: Mapping[str, Floats] = field(default_factory=dict)


class Gaze:
    """A model whose attention is looked at; it is loaded once for any number of texts.

    `layers` and `heads` count those of a BERT or a transformer, and are 0 of other baselines; `asks` is whether a baseline
    reads a question and its context.
    """

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            StageError: the folder holds no model with attention, or no tokenizer.
        """
        self.folder = folder
        self.asks, self._reads = False, [1, 2]
        self._most: int | None = None
        self._network: Any = None
        self._window: dict[str, int] = {}
        self._units: str | None = None  # of a baseline that tags, which reads token by token
        if (folder / "network.json").is_file():
            self._load_network()
        else:
            self._load_bert()
        self._encoder = load_encoder(folder)

    def _load_bert(self) -> None:
        from bertkit.models.attention_weights import load_for_weights

        self._bert = load_for_weights(self.folder)
        config = self._bert.config
        self.layers, self.heads = config.num_hidden_layers, config.num_attention_heads
        self._most = config.max_position_embeddings
        if getattr(config, "window_pooling", None) == "attention" and (self.folder / "predictor.json").is_file():
            settings = json.loads((self.folder / "predictor.json").read_text(encoding="utf-8"))["settings"]
            names = {"max_seq_length": "max_seq_length", "overlap": "window_overlap", "max_windows": "max_windows"}
            self._window = {name: settings[key] for name, key in names.items()}

    def _load_network(self) -> None:
        from bertkit.models.network_attention import load_attentive

        self._network = load_attentive(self.folder)
        facts = self._network.facts
        options = facts["options"]
        self.layers, self.heads = options.get("num_layers", 0), options.get("num_heads", 0)
        if not self.heads:
            self.layers = 0  # those of an RNN have none
        self.asks = not {"num_labels", "tagging_head"} & facts.keys()
        if options.get("positions") == "learned":
            self._most = options["max_length"]
        self._reads = [2] if self.asks or facts.get("pairs") else [1]
        if "tagging_head" in facts:
            known = self.folder / "predictor.json"
            told = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
            self._units = told.get("units", "words")

    def look(self, texts: Sequence[str | Sequence[str]], *, limit: int | None = None) -> Seen:
        """What the model looks at in one text or in two read as a pair, a question before its context.

        Of a text that is read in windows by attention over them, `tokens` are its windows. A text may be given as tokens,
        each of which is read by itself, as taggers do.

        Args:
            limit: tokens that are read; those beyond are cut.

        Raises:
            DataError: a text is empty, they are longer than the model can read, or it reads another number of them.
        """
        import torch

        if len(texts) not in self._reads:
            wanted = " or ".join({1: "one text", 2: "two texts"}[count] for count in self._reads)
            remedy = "Give a question, then its context." if self.asks else f"Give {wanted}."
            raise DataError(f"{len(texts)} were given, the model reads {wanted}", remedy=remedy)
        one = texts[0] if len(texts) == 1 else None
        if limit is None and isinstance(one, str) and self._window and (seen := self._look_at_windows(one)):
            return seen
        tokens, ids, segments, cut = self._encoded(texts, limit)
        if self._most is not None and len(tokens) > self._most:
            raise DataError(
                f"the text has {len(tokens)} tokens, the model reads {self._most}", remedy="Give a shorter text."
            )
        batch = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([segments])}
        if self._network is None:
            from bertkit.models.attention_weights import attention_weights

            found = attention_weights(self._bert, batch)
            return Seen(tokens, cut, np.stack([layer[0].double().numpy() for layer in found]))
        from bertkit.models.network_attention import network_weights

        weights = network_weights(self._network, batch)
        return Seen(
            tokens,
            cut,
            weights.layers.double().numpy(),
            None if weights.question is None else weights.question.double().numpy(),
            {name: share.double().numpy() for name, share in weights.shares.items()},
        )

    def _look_at_windows(self, text: str) -> Seen | None:
        """How much a long text's windows are taken, each as one token; None where there is but one."""
        import torch

        from bertkit.data.text_windows import encode_documents
        from bertkit.models.attention_weights import window_weights

        documents = encode_documents(self.folder, [text], np.zeros(1), **self._window)
        windows = documents.documents[0]
        if len(windows) == 1:
            return None
        arrays = documents.collate(np.zeros(1, np.int64))
        batch = {name: torch.from_numpy(value) for name, value in arrays.items() if name != "labels"}
        weights = window_weights(self.folder, batch).double().numpy()
        named = [f"{i}: {self._encoder.decode(ids[1:-1].tolist())}" for i, ids in enumerate(windows, 1)]
        return Seen(named, documents.truncated > 0, np.zeros((0, 0, 0, 0)), None, {"text": weights})

    def _encoded(
        self, texts: Sequence[str | Sequence[str]], limit: int | None
    ) -> tuple[list[str], list[int], list[int], bool]:
        tokens, segments, cut = ["[CLS]"], [0], False
        each = None if limit is None else max((limit - 1) // len(texts) - 1, 1)
        ids = [self._special("[CLS]")]
        for number, text in enumerate(texts):
            parts = [self._encoder.encode(part, add_special_tokens=False) for part in self._parts(text)]
            found = [pair for part in parts for pair in zip(part.tokens, part.ids, strict=True)]
            if not found:
                raise DataError(f"the text {text[:60]!r} has no tokens", remedy="Give a text with words in it.")
            cut |= each is not None and len(found) > each
            tokens += [*(token for token, _ in found[:each]), "[SEP]"]
            ids += [*(id for _, id in found[:each]), self._special("[SEP]")]
            segments += [number] * (len(ids) - len(segments))
        return tokens, ids, segments, cut

    def _parts(self, text: str | Sequence[str]) -> Sequence[str]:
        """What of a text is encoded by itself."""
        if not isinstance(text, str):
            return text
        if self._units is None:
            return [text]
        return [text[start:end] for start, end in token_places(text, self._units)]

    def _special(self, token: str) -> int:
        found = self._encoder.token_to_id(token)
        if found is None:
            raise DataError(f"the tokenizer has no {token}", where=str(self.folder))
        return int(found)


def can_be_looked_at(folder: Path) -> bool:
    """Whether a folder holds a model with attention: a BERT, or a baseline that has some."""
    if not (folder / "model.safetensors").is_file():
        return False
    if (folder / "network.json").is_file():
        from bertkit.models.network_attention import has_attention, read_facts

        facts = read_facts(folder)
        return has_attention(facts) and facts.get("characters") is None
    config = folder / "config.json"
    return config.is_file() and json.loads(config.read_text(encoding="utf-8")).get("model_type") == "bert"


def view(seen: Seen, shown: Sequence[tuple[int, int | None]]) -> dict[str, Any]:
    """What is drawn of a text: lines for each of `shown`, and what every head mostly looks at.

    What a context takes from its question comes after the layers; `shares` have one weight a token.

    Args:
        shown: layers and heads from 1; None is the mean of all heads.
    """
    pictures: list[dict[str, Any]] = [
        {"layer": layer, "head": head, "lines": lines(of_head(seen.layers, layer, head))}
        for layer, head in (shown if len(seen.layers) else ())
    ]
    if seen.question is not None:
        begins = seen.tokens.index("[SEP]") + 1
        found = [line for line in lines(seen.question) if line[0] >= begins]
        pictures.append({"layer": None, "head": None, "lines": found})
    return {
        "tokens": seen.tokens,
        "cut": seen.cut,
        "pictures": pictures,
        "heads": [[pattern(seen.tokens, head) for head in layer] for layer in seen.layers],
        "shares": [
            {"of": name, "weights": [round(float(value), 4) for value in weights]}
            for name, weights in seen.shares.items()
        ],
    }


def of_head(weights: Floats, layer: int, head: int | None) -> Floats:
    """The weights of a layer's head, or the mean of its heads, shape (tokens, tokens)."""
    found: Floats = weights[layer - 1].mean(0) if head is None else weights[layer - 1, head - 1]
    return found


def lines(weights: Floats) -> list[tuple[int, int, float]]:
    """The strongest (from, to, weight) of each token."""
    found = []
    for place, row in enumerate(weights):
        strongest = np.argsort(-row, kind="stable")[:_MOST_LINES]
        found += [(place, int(to), round(float(row[to]), 3)) for to in strongest if row[to] >= _WEAKEST]
    return found


def pattern(tokens: Sequence[str], weights: Floats) -> tuple[str, float]:
    """What a head mostly looks at, and which share of the words' attention that is."""
    words = [i for i, token in enumerate(tokens) if token not in ("[CLS]", "[SEP]")]
    shares = dict.fromkeys(PATTERNS, 0.0)
    for i in words:
        row = weights[i]
        named = {"itself": i, "first": 0, "before": i - 1, "after": i + 1}
        for to, value in enumerate(row):
            place = next((name for name, other in named.items() if other == to), None)
            separator = tokens[to] == "[SEP]"
            shares[place or ("separator" if separator else "others")] += float(value) / len(words)
    best = max(shares, key=lambda name: shares[name])
    return best, round(shares[best], 3)


def text(tokens: Sequence[str]) -> str:
    """Tokens as a line of text, pieces of words joined again."""
    return " ".join(tokens).replace(" ##", "")


def matching(tokens: Sequence[str], word: str) -> list[int]:
    """The places of a word's tokens, pieces of it among them.

    Raises:
        DataError: it does not stand there.
    """
    wanted = word.casefold()
    for start in (i for i, token in enumerate(tokens) if not token.startswith("##")):
        text = ""
        for end in range(start, len(tokens)):
            if end > start and not tokens[end].startswith("##") and not _is_wide(tokens[end]):
                break
            text += tokens[end].removeprefix("##").casefold()
            if text == wanted:
                return list(range(start, end + 1))
    raise DataError(f"{word!r} does not stand in the text", remedy=f"Its tokens are: {' '.join(tokens)}")


def _is_wide(token: str) -> bool:
    from bertkit.text.words import is_chinese

    return all(map(is_chinese, token))
