"""First weights by which some heads of a new BERT attend to the neighbours of each token.

A BERT's positions begin as noise, and until a head has learnt from it which tokens stand side by side, masked words are
guessed from how frequent they are: the long plateau at the start of pretraining. Trained BERTs do have heads that attend
to the token before and the token after (Clark et al. 2019, "What Does BERT Look At?"), so that a new one may begin with
them, as Trockman & Kolter (2023, "Mimetic Initialization of Self-Attention Layers") begin with products of weights that
trained networks have. Nothing is frozen, and the architecture stays BERT's.

Positions begin as sinusoids (Vaswani et al. 2017) in the first coordinates of the embeddings, where words begin small. A
step to the neighbour is a rotation there, which is linear, and so is what a query of such a head begins as.
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
