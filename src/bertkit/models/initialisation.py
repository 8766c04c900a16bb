"""First weights by which some heads of a BERT attend to the neighbours of each token, or to the same word elsewhere.

A BERT's positions begin as noise, and until a head has learnt from it which tokens stand side by side, masked words are
guessed from how frequent they are: the long plateau at the start of pretraining. Trained BERTs do have heads that attend
to the token before and the token after (Clark et al. 2019, "What Does BERT Look At?"), so that a new one may begin with
them, as Trockman & Kolter (2023, "Mimetic Initialization of Self-Attention Layers") begin with products of weights that
trained networks have. Nothing is frozen, and the architecture stays BERT's.

Positions begin as sinusoids (Vaswani et al. 2017) in the first coordinates of the embeddings, where words begin small. A
step to the neighbour is a rotation there, which is linear, and so is what a query of such a head begins as.

Of pairs of texts a small BERT learns nothing for long either: no head compares their words, and until one does, nothing tells it
to. Minutes of pretraining do not change that, and undo such heads where it begins with them; so they are given at the start
of fine-tuning. BERT-base has heads that attend to the same word in the other text (Vig 2018, "Deconstructing BERT: Distilling
6 Patterns from 100 Million Parameters"); `attend_to_the_same_words` lets some begin so.
"""

import math
from typing import Any

import torch
from torch import Tensor

# Coordinates that belong to positions at first: so many at most, and no more than this share of the width.
_MAX_COORDINATES = 32
_SHARE_OF_WIDTH = 4
# Fewer coordinates cannot tell a position from those around it.
MIN_COORDINATES = 8
# Positions have half of words' share in an embedding's length; in positions' coordinates words begin this small.
_POSITIONS_TO_WORDS = 0.5
_SMALL = 0.1
# Radians a step of the fastest sinusoid. Fast ones tell neighbours apart, slow ones what is near from what is far.
_FASTEST = 2.0
# By so much does the token attended to lead the ones beside it, in nats: it begins with about 57 % of the attention.
_LEAD = 3.0
# Matching heads: by so many nats does a token lead another word's, the token itself too, and by so many the other text's
# tokens lead those of its own. So a word that the other text has takes most of the attention, and one that it has not the
# word itself.
_SAME_WORD = 10.0
_OTHER_TEXT = 3.0
# What such a head writes into a state, as a share of the state's length.
_WRITTEN = 0.5
# The texts' embeddings lie so far apart then that words differ along the line between them by at most this share of half their
# distance (standard deviation), as they do in a new model. Trained words outgrow the texts, and hide which of them a state is of.
_WORDS_TO_TEXTS = 0.15


def coordinates(hidden_size: int, num_attention_heads: int) -> int:
    """How many coordinates of the embeddings positions begin in, an even number."""
    return min(_MAX_COORDINATES, hidden_size // num_attention_heads, hidden_size // _SHARE_OF_WIDTH) // 2 * 2


@torch.no_grad()
def attend_to_neighbours(bert: Any, heads: int) -> None:
    """Give so many heads of the first layer of a new `BertModel` weights that attend to offsets -1, +1, -2, +2 and on.

    Changes the embeddings and these heads' queries and keys in place; draws no random numbers.

    Raises:
        ValueError: there are fewer heads, or they are too narrow for `MIN_COORDINATES`.
    """
    config = bert.config
    width, head_width = config.hidden_size, config.hidden_size // config.num_attention_heads
    size = coordinates(width, config.num_attention_heads)
    if heads > config.num_attention_heads or size < MIN_COORDINATES:
        raise ValueError(f"{heads} heads of {config.num_attention_heads} with {size} coordinates for positions")
    spread = config.initializer_range
    frequencies = _frequencies(size // 2, config.max_position_embeddings)
    words = spread**2 * (width - size)
    amplitude = math.sqrt(_POSITIONS_TO_WORDS * words / len(frequencies))
    _begin_as_sinusoids(bert.embeddings, frequencies, amplitude)

    # What is left of the amplitude behind the LayerNorm, and by it the weights that make the lead.
    variance = (words + amplitude**2 * len(frequencies)) / width
    lead_of_one = amplitude**2 / variance * float((1 - frequencies.cos()).sum()) / math.sqrt(head_width)
    weight = math.sqrt(_LEAD / lead_of_one)
    attention = bert.encoder.layer[0].attention.self
    for head in range(heads):
        rows = slice(head * head_width, head * head_width + size)
        offset = (head // 2 + 1) * (-1 if head % 2 == 0 else 1)
        for part, turn in ((attention.query, _rotation(frequencies * offset)), (attention.key, torch.eye(size))):
            part.weight[rows] *= _SMALL
            part.weight[rows, :size] = weight * turn


@torch.no_grad()
def attend_to_the_same_words(bert: Any, heads: int) -> None:
    """Give so many heads of the first layer of a `BertModel`, its last ones, weights that compare the texts of a pair.

    Such a head attends from a word to the same word in the other text and, where that has none, to the word itself; it
    writes into the state which text it has read. "The same" is by the word embeddings: in a trained model, words alike.
    Changes these heads' weights in place, from those that they have, and draws the texts' embeddings apart where words hide
    them; draws no random numbers.

    Raises:
        ValueError: there are fewer heads, they are narrower than `MIN_COORDINATES`, or both texts have one embedding.
    """
    config, attention = bert.config, bert.encoder.layer[0].attention
    of_all = config.num_attention_heads
    head_width = config.hidden_size // of_all
    if heads > of_all or head_width < MIN_COORDINATES:
        raise ValueError(f"{heads} heads of {of_all}, {head_width} wide")
    kinds = bert.embeddings.token_type_embeddings.weight
    if len(kinds) < 2 or torch.equal(kinds[0], kinds[1]):
        raise ValueError("the model has one embedding for both texts of a pair, which nothing tells apart")
    _draw_texts_apart(bert.embeddings)
    places, side, states = _places_and_side(bert.embeddings, coordinates(config.hidden_size, of_all))
    query, key, value, dense = attention.self.query, attention.self.key, attention.self.value, attention.output.dense
    root = math.sqrt(head_width)
    for head in range(of_all - heads, of_all):
        rows = slice(head * head_width + 1, (head + 1) * head_width)
        # Words alone are compared, wherever they stand and whichever text they are of.
        same = _orthonormal(query.weight[rows], without=torch.cat([places, side[None]]))
        same *= math.sqrt(_SAME_WORD * root / float(((states - states.mean(0)) @ same.T).square().sum(1).mean()))
        for part in (query, key):
            part.weight[rows], part.bias[rows] = same, -(same @ states.mean(0))
        # The first coordinate of the head is the side: alike it costs, unlike it gives, and it is what the head writes.
        row = rows.start - 1
        for part, scale in ((query, 1), (key, -1)):
            _read(part, row, side, states, scale * math.sqrt(_OTHER_TEXT / 2 * root))
        _read(value, row, side, states, 1)
        dense.weight[:, row] *= _WRITTEN * math.sqrt(config.hidden_size) / dense.weight[:, row].norm()


def _draw_texts_apart(embeddings: Any) -> None:
    kinds = embeddings.token_type_embeddings.weight
    half = (kinds[1] - kinds[0]) / 2
    of_words = float((embeddings.word_embeddings.weight @ half).std() / (half @ half))
    further = max(of_words / _WORDS_TO_TEXTS, 1) - 1
    kinds[0] -= further * half
    kinds[1] += further * half


def _places_and_side(embeddings: Any, places: int) -> tuple[Tensor, Tensor, Tensor]:
    """What tells positions, [places, hidden], and a pair's texts, [hidden], apart in a state, and states without a text.

    A state's product with the direction of texts is 1 more in the second text, and 1 less in the first, than half-way.
    """
    words, positions = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
    kinds, norm = embeddings.token_type_embeddings.weight, embeddings.LayerNorm
    placed = words + positions[torch.arange(len(words)) % len(positions)]
    first, second = norm(placed + kinds[0]), norm(placed + kinds[1])
    gap = (second - first).mean(0)
    directions = torch.linalg.svd(positions - positions.mean(0), full_matrices=False).Vh[:places]
    return directions * norm.weight, 2 * gap / (gap @ gap), (first + second) / 2


def _orthonormal(rows: Tensor, *, without: Tensor) -> Tensor:
    """As many directions, each of length 1 and at right angles to the others and to the rows of `without`."""
    taken = torch.linalg.qr(without.T)[0]

    def rest(directions: Tensor) -> Tensor:
        found: Tensor = directions - directions @ taken @ taken.T
        return found

    # The second time for heads that are wider than what is left: QR fills up with directions that were taken out.
    return rest(torch.linalg.qr(rest(rows).T)[0].T)


def _read(part: Any, row: int, direction: Tensor, states: Tensor, scale: float) -> None:
    """Make an output of a linear layer the product of a state with a direction, 0 for the mean of `states`."""
    part.weight[row] = scale * direction
    part.bias[row] = -scale * float((states @ direction).mean())


def _frequencies(count: int, longest: int) -> Tensor:
    """Radians a step, [count], falling geometrically to the one that makes half a turn in the longest sequence."""
    return torch.exp(torch.linspace(math.log(_FASTEST), math.log(math.pi / longest), count))


def _begin_as_sinusoids(embeddings: Any, frequencies: Tensor, amplitude: float) -> None:
    size = 2 * len(frequencies)
    positions = embeddings.position_embeddings.weight
    angles = torch.arange(len(positions))[:, None] * frequencies
    positions.zero_()
    positions[:, 0:size:2] = amplitude * angles.cos()
    positions[:, 1:size:2] = amplitude * angles.sin()
    embeddings.word_embeddings.weight[:, :size] *= _SMALL
    embeddings.token_type_embeddings.weight[:, :size] *= _SMALL


def _rotation(angles: Tensor) -> Tensor:
    """The matrix that turns each pair of coordinates by its angle, [2 angles, 2 angles]."""
    turn = torch.zeros(2 * len(angles), 2 * len(angles))
    first = torch.arange(0, len(turn), 2)
    turn[first, first] = turn[first + 1, first + 1] = angles.cos()
    turn[first, first + 1] = -angles.sin()
    turn[first + 1, first] = angles.sin()
    return turn
