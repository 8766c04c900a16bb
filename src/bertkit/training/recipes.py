"""The recipe of a fine-tuning run from its options: which tricks, in which order."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bertkit.models.objective import TaskObjective
from bertkit.training import layers as by_layer
from bertkit.training import regularisation
from bertkit.training.adversarial import Adversary, install_input_noise
from bertkit.training.loop import MicroBatch, Recipe

Options = Mapping[str, Any]


def with_r_drop(objective: TaskObjective, alpha: float) -> TaskObjective:
    """The objective, in two passes where `alpha` is above 0."""
    return regularisation.RDrop(objective, alpha) if alpha else objective


def make_recipe(
    model: Any,
    *,
    regularization: Options,
    adversarial: Options | None,
    layers: Options,
    learning_rate: float,
    seed: int,
) -> Recipe:
    """The recipe for `model`, a Hugging Face model that is not trained yet: its weights of now are where it starts.

    `regularization`, `adversarial` and `layers` are finetune's blocks of these names. Freezes layers and installs noise
    in the model. Outermost stands what must see the gradients last.
    """
    if layers["freeze_layers"] is not None:
        by_layer.freeze(model, layers["freeze_layers"])
    embeddings = model.get_input_embeddings()
    if regularization["input_noise"]:
        install_input_noise(embeddings, regularization["input_noise"])
    return Recipe(
        around=tuple(_around(model, regularization, layers["unfreeze_steps"], seed)),
        learn=Adversary(embeddings, **adversarial) if adversarial is not None else MicroBatch.backward,
        lr_factor=_lr_factor(model, layers, learning_rate),
        after_update=_after_update(model, regularization["max_norm"]),
    )


def _around(model: Any, options: Options, unfreeze_steps: Any, seed: int) -> list[regularisation.Around]:
    found = []
    if unfreeze_steps is not None:
        found.append(by_layer.gradual_unfreezing(model, unfreeze_steps))
    if options["l1"]:
        found.append(regularisation.l1_penalty(model, options["l1"]))
    if options["l2_sp"]:
        found.append(regularisation.l2_to_start(model, options["l2_sp"]))
    if options["mixout"]:
        found.append(regularisation.mixout(model, options["mixout"], seed=seed))
    if options["weight_noise"]:
        found.append(regularisation.weight_noise(model, options["weight_noise"], seed=seed))
    return found


def _lr_factor(model: Any, layers: Options, learning_rate: float) -> Callable[[str], float] | None:
    decay, head = layers["learning_rate_decay"], layers["head_learning_rate"]
    if decay == 1.0 and head is None:
        return None
    return by_layer.learning_rate_factors(
        layers=model.config.num_hidden_layers,
        decay=decay,
        head=1.0 if head is None else head / learning_rate,
        base=model.base_model_prefix,
    )


def _after_update(model: Any, max_norm: float | None) -> Callable[[], None] | None:
    return None if max_norm is None else partial(regularisation.limit_rows, model, max_norm)
