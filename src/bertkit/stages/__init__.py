"""Config and typed inputs to an artifact: one module a stage, named as its recipe."""

from importlib import import_module

from bertkit.errors import ConfigError, did_you_mean
from bertkit.stage import Stage

NAMES = (
    "corpus",
    "tokenizer",
    "pretrain_data",
    "pretrain",
    "task_data",
    "word2vec",
    "finetune",
    "evaluate",
    "evaluate_vectors",
    "report",
    "publish",
)


def load(name: str) -> Stage:
    """The stage called `name`; its module is imported only now.

    Raises:
        ConfigError: there is no such stage.
    """
    if name not in NAMES:
        guess = did_you_mean(name, NAMES)
        raise ConfigError(f"there is no stage {name!r}{guess or ''}", remedy=f"Stages: {', '.join(NAMES)}.")
    stage: Stage = getattr(import_module(f"bertkit.stages.{name}"), name)
    return stage
