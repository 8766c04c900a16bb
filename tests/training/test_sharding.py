"""What is not divided among processes stays as it is; what two processes do is in `tests/stages/test_sharded_runs.py`."""

import pytest
import torch
from torch import nn

from bertkit.errors import HostError
from bertkit.training import sharding


class Baseline(nn.Module):
    """An objective over a network without the layers of a BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(3, 2)


def test_a_model_that_is_no_bert_is_refused() -> None:
    with pytest.raises(HostError, match="this model is no BERT"):
        sharding.shard(Baseline(), torch.device("cpu"), 2)


def test_whole_tensors_pass_through_untouched() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    assert not sharding.is_sharded(Baseline())
    assert sharding.whole(tensor) is tensor
    assert sharding.like(tensor, torch.zeros(2, 3)) is tensor
    assert torch.equal(sharding.gathered({"a": tensor})["a"], tensor)
    assert sharding.gathered({"a": tensor}, keep=False) == {}
