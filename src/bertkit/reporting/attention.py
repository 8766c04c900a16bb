"""What a BERT's heads look at in a text, as plain JSON that the pictures are drawn from."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


class Gaze:
    """A BERT whose attention is looked at; it is loaded once for any number of texts."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            StageError: the folder holds no BERT or no tokenizer.
        """
        from bertkit.models.attention_weights import load_for_weights

        self.folder, self._encoder = folder, load_encoder(folder)
        self._model = load_for_weights(folder)
        self.layers, self.heads = self._model.config.num_hidden_layers, self._model.config.num_attention_heads

    def weights(self, texts: Sequence[str], *, limit: int | None = None) -> tuple[list[str], Floats, bool]:
        """The tokens of one text or of two read as a pair, their weights, and whether tokens beyond `limit` were cut.

        Returns:
            The tokens; weights of shape (layers, heads, tokens, tokens), row i being what token i takes; whether any
            token was left out.

        Raises:
            DataError: a text is empty, or they are longer than the model can read.
        """
        import torch

        from bertkit.models.attention_weights import attention_weights

        tokens, ids, segments, cut = self._encoded(texts, limit)
        most = self._model.config.max_position_embeddings
        if len(tokens) > most:
            raise DataError(f"the text has {len(tokens)} tokens, the model reads {most}", remedy="Give a shorter text.")
        batch = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([segments])}
        found = attention_weights(self._model, batch)
        return tokens, np.stack([layer[0].double().numpy() for layer in found]), cut

    def _encoded(self, texts: Sequence[str], limit: int | None) -> tuple[list[str], list[int], list[int], bool]:
        tokens, segments, cut = ["[CLS]"], [0], False
        each = None if limit is None else max((limit - 1) // len(texts) - 1, 1)
        ids = [self._special("[CLS]")]
        for number, text in enumerate(texts):
            found = self._encoder.encode(text, add_special_tokens=False)
            if not found.ids:
                raise DataError(f"the text {text[:60]!r} has no tokens", remedy="Give a text with words in it.")
            cut |= each is not None and len(found.ids) > each
            tokens += [*found.tokens[:each], "[SEP]"]
            ids += [*found.ids[:each], self._special("[SEP]")]
            segments += [number] * (len(ids) - len(segments))
        return tokens, ids, segments, cut

    def _special(self, token: str) -> int:
        found = self._encoder.token_to_id(token)
        if found is None:
            raise DataError(f"the tokenizer has no {token}", where=str(self.folder))
        return int(found)


def is_bert(folder: Path) -> bool:
    """Whether a folder holds a BERT whose attention can be looked at."""
    config = folder / "config.json"
    if not config.is_file() or not (folder / "model.safetensors").is_file():
        return False
    return bool(json.loads(config.read_text(encoding="utf-8")).get("model_type") == "bert")


def view(tokens: list[str], weights: Floats, shown: Sequence[tuple[int, int | None]], *, cut: bool) -> dict[str, Any]:
    """What is drawn of a text: lines for each of `shown`, and what every head mostly looks at.

    Args:
        shown: layers and heads from 1; None is the mean of all heads.
    """
    return {
        "tokens": tokens,
        "cut": cut,
        "pictures": [
            {"layer": layer, "head": head, "lines": lines(of_head(weights, layer, head))} for layer, head in shown
        ],
        "heads": [[pattern(tokens, head) for head in layer] for layer in weights],
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
