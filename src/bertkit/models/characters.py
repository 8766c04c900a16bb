"""A vector of how a word is spelt, by a convolution over its bytes (dos Santos & Zadrozny 2014; Ma & Hovy 2016)."""

import torch
from torch import Tensor, nn


class CharacterCNN(nn.Module):
    """UTF-8 bytes stand for characters: there is no alphabet to know, and none to be unknown."""

    def __init__(self, *, size: int, num_filters: int, filter_width: int) -> None:
        super().__init__()
        self.width = num_filters
        self.bytes = nn.Embedding(257, size, padding_idx=0)
        self.convolution = nn.Conv1d(size, num_filters, filter_width, padding=filter_width - 1)

    def forward(self, spellings: Tensor, places: Tensor) -> Tensor:
        """A vector for each token, (rows, length, `width`), 0 where it is spelt by none.

        `spellings` (words, most bytes) are bytes + 1, 0 beyond their end; `places` (rows, length) say which is a token's.
        """
        found = torch.relu(self.convolution(self.bytes(spellings).transpose(1, 2)))
        # A window beyond the end sees padding alone, and would be its bias.
        size = self.convolution.kernel_size[0]
        ends = (spellings > 0).sum(1, keepdim=True) + size - 1
        inside = torch.arange(found.shape[2], device=found.device) < ends
        pooled = (found * inside[:, None]).amax(2) * (spellings[:, :1] > 0)
        vectors: Tensor = pooled[places]
        return vectors
