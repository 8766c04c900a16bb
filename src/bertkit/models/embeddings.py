"""Embeddings of words: tuned, fixed, or both, and of hashed word n-grams."""

from typing import Literal

import torch
from torch import Tensor, nn

Channels = Literal["static", "non_static", "multichannel"]

_SPREAD = 0.25  # new embeddings are uniform from minus to plus this (Kim 2014)
_FACTOR = 116049371  # of the hash of n-grams, as fastText's dictionary has it


class WordEmbeddings(nn.Module):
    """A vector for each token id: learnt (`non_static`), kept as given (`static`), or the sum of one of each.

    Kim (2014) adds up each filter's products with both channels: the same as one product with the channels' sum.
    """

    def __init__(self, count: int, width: int, *, pad: int, channels: Channels) -> None:
        super().__init__()
        self.embedding_dim = width
        self.tuned = nn.Embedding(count, width, padding_idx=pad) if channels != "static" else None
        self.fixed = nn.Embedding(count, width, padding_idx=pad) if channels != "non_static" else None
        if self.fixed is not None:
            self.fixed.weight.requires_grad_(False)
        self.fill(torch.empty(count, width).uniform_(-_SPREAD, _SPREAD))

    @property
    def tables(self) -> list[nn.Embedding]:
        """The channels that there are."""
        return [table for table in (self.tuned, self.fixed) if table is not None]

    @torch.no_grad()
    def fill(self, vectors: Tensor) -> None:
        """Begin with `vectors` (count, width); padding is 0."""
        for table in self.tables:
            table.weight.copy_(vectors)
            table.weight[table.padding_idx] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        """(rows, length, width) of ids (rows, length)."""
        first, *others = self.tables
        embedded: Tensor = first(ids)
        for table in others:
            embedded = embedded + table(ids)
        return embedded


class NGramEmbeddings(nn.Module):
    """Vectors of word n-grams of 2 up to `ngrams` words, which share `buckets` rows by their hash (Joulin et al. 2017)."""

    def __init__(self, width: int, *, ngrams: int, buckets: int) -> None:
        super().__init__()
        self._ngrams, self._buckets = ngrams, buckets
        self.table = nn.Embedding(buckets, width)
        nn.init.uniform_(self.table.weight, -_SPREAD, _SPREAD)

    def forward(self, ids: Tensor, texts: Tensor) -> Tensor:
        """The sum of the vectors of the n-grams that end at each place, (rows, length, width).

        `texts` (rows, length) numbers the text of a pair: no n-gram goes from one into the other.
        """
        total = torch.zeros(*ids.shape, self.table.embedding_dim, dtype=self.table.weight.dtype, device=ids.device)
        hashes = ids
        for n in range(1, self._ngrams):
            hashes = hashes[:, :-1] * _FACTOR + ids[:, n:]
            whole = texts[:, n:] == texts[:, :-n]
            vectors = self.table(hashes.remainder(self._buckets)) * whole[..., None]
            total = torch.cat([total[:, :n], total[:, n:] + vectors], 1)
        return total
