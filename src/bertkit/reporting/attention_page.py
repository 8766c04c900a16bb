"""The page and the picture that `bertkit attention` writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertkit.errors import ConfigError
from bertkit.reporting import attention, attention_picture, page
from bertkit.reporting.attention import Gaze


def chosen_pictures(gaze: Gaze, layer: int | None, head: int | None, *, one: bool) -> list[tuple[int, int | None]]:
    """Which layers and heads, from 1, to draw: a head and layer, all heads of a layer, a head in all layers, or means.

    Args:
        one: a single picture is wanted; it is of the last layer, and the mean of heads, where none is said.

    Raises:
        ConfigError: the model has no such layer or head.
    """
    if not gaze.layers:
        if layer is not None or head is not None:
            raise ConfigError(
                "the model has no layers of heads", where=str(gaze.folder), remedy="Leave out --layer and --head."
            )
        return []
    for what, value, most in (("layer", layer, gaze.layers), ("head", head, gaze.heads)):
        if value is not None and not 1 <= value <= most:
            raise ConfigError(f"--{what} {value}: the model has {what}s 1 to {most}", where=str(gaze.folder))
    if one:
        return [(gaze.layers if layer is None else layer, head)]
    layers = range(1, gaze.layers + 1) if layer is None else [layer]
    heads: Sequence[int | None] = [head]
    if layer is not None and head is None:
        heads = [None, *range(1, gaze.heads + 1)]
    return [(one_layer, one_head) for one_layer in layers for one_head in heads]


def look(
    gaze: Gaze, texts: Sequence[str], shown: Sequence[tuple[int, int | None]], word: str | None
) -> tuple[dict[str, Any], list[int]]:
    """What is drawn of a text or a pair, and the places of `word`'s tokens in it.

    Raises:
        DataError: the text is empty or too long, or the word is not in it.
        ConfigError: a word was chosen, and the model has no weights for each.
    """
    seen = gaze.look(texts)
    found = attention.view(seen, shown)
    if word is not None and not found["pictures"]:
        remedy = "Leave out --word."
        raise ConfigError("the model weighs the tokens for the whole text, not for a word", remedy=remedy)
    return found, [] if word is None else attention.matching(seen.tokens, word)


def html(found: Mapping[str, Any], *, texts: Sequence[str], model: str, word: str | None, chosen: Sequence[int]) -> str:
    """One self-contained page with every picture and the table of heads."""
    values = {"found": found, "text": " ⏎ ".join(texts), "model": model, "word": word, "chosen": chosen}
    return page.template("attention_page.html.j2").render(values) + "\n"


def svg(found: Mapping[str, Any], *, chosen: Sequence[int]) -> str:
    """The first picture as a file of its own."""
    lines = attention_picture.picture(found, 0, chosen=chosen) if found["pictures"] else None
    shade = None if found["pictures"] else attention_picture.shaded(found, 0)
    return page.template("attention.svg.j2").render(lines=lines, shade=shade).strip() + "\n"
