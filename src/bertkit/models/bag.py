"""A bag of words: the mean of their vectors (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification")."""

from torch import Tensor, nn

from bertkit.models.pooling import Pooling


class Bag(nn.Module):
    """No network at all: the state of a token is its embedding. Word n-grams come with the embeddings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.pool = Pooling("mean", width)

    def forward(self, embedded: Tensor, real: Tensor) -> Tensor:
        """The embeddings as they are, (rows, length, `width`)."""
        return embedded
