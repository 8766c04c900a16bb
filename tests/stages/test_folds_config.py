"""The option `fold` of task_data."""

import pytest

from bertkit.config import build, fingerprint, parse_overrides
from bertkit.errors import ConfigError
from bertkit.stages.task_data import TaskDataConfig


def config(*overrides: str) -> TaskDataConfig:
    return build(TaskDataConfig, parse_overrides(["source.dataset=sst2", *overrides]))


@pytest.mark.parametrize("fold", ["0/3", "4/3", "1/1", "3", "a/b", "1/3/4", "-1/3"])
def test_what_is_no_part_of_a_whole_is_refused(fold: str) -> None:
    with pytest.raises(ConfigError, match="fold"):
        config(f"fold={fold}")


def test_a_sample_of_the_held_out_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="every row once"):
        config("fold=1/3", "max_eval_samples=10")


def test_folds_differ_and_none_keeps_its_fingerprint() -> None:
    prints = {fingerprint(config(*extra).identity()) for extra in ([], ["fold=1/3"], ["fold=2/3"], ["fold=2/4"])}
    assert len(prints) == 4
    assert "fold" not in config().identity()
