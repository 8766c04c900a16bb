"""The commands that use a trained folder: predict, export, embed, fill, attention."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bertkit import hub
from bertkit.errors import ConfigError

use = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Device = Literal["auto", "cpu", "cuda"]
FileOption = Annotated[
    Path | None, typer.Option(help="A text a line, or with .jsonl an object a line; - reads standard input.")
]
JsonlOption = Annotated[bool, typer.Option("--jsonl", help="Standard input has an object a line.")]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Rows computed at once.")]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]


@use.command()
def predict(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that finetune wrote, or USER/NAME[@REVISION] on the Hub.")
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="What to predict: text, or text and second text.")
    ] = None,
    file: FileOption = None,
    jsonl: JsonlOption = False,
    batch_size: BatchOption = None,
    device: DeviceOption = "auto",
    onnx: Annotated[Path | None, typer.Option(help="Compute with this file of `bertkit export`.")] = None,
) -> None:
    """Predict with a fine-tuned model: a line of JSON for each text, question or sentence."""
    _check_given("predict", texts, file)
    from bertkit.predictor import Predictor

    model = Predictor.load(hub.folder_of(directory), device=device, onnx=onnx)
    given = _grouped(texts, model.kind.columns) if texts else _read(file, jsonl)
    for line in _with_progress(model.stream(given, batch_size=batch_size), "predict"):
        typer.echo(json.dumps(line, ensure_ascii=False))


@use.command()
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that finetune wrote, or USER/NAME[@REVISION] on the Hub.")
    ],
    onnx: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write a fine-tuned model as an ONNX graph, once its logits are those of torch over several shapes."""
    from bertkit.predictor import Predictor

    found = Predictor.load(hub.folder_of(directory), device="cpu").export_onnx(onnx)
    typer.echo(f"{onnx}: logits within {found:.1g} of torch's")


@use.command()
def embed(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Any BERT's folder, pretrained or fine-tuned, or USER/NAME[@REVISION]."),
    ],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="What to embed.")] = None,
    file: FileOption = None,
    jsonl: JsonlOption = False,
    pooling: Annotated[
        Literal["mean", "cls", "max", "tokens"], typer.Option(help="A text's vector; tokens gives one for each token.")
    ] = "mean",
    layer: Annotated[int, typer.Option(help="Layer to read: -1 is the last, 0 the embeddings.")] = -1,
    max_seq_length: Annotated[
        int | None, typer.Option(help="Tokens read of a text; by default all that the model can.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write, .npy or .jsonl; by default lines are printed.")
    ] = None,
    batch_size: BatchOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Vectors of texts, from any BERT: a line of JSON for each text, or one NumPy array."""
    _check_given("embed", texts, file)
    if out is not None and out.suffix not in (".npy", ".jsonl"):
        raise ConfigError(f"--out {out} is neither .npy nor .jsonl")
    if out is not None and out.suffix == ".npy" and pooling == "tokens":
        raise ConfigError("vectors of tokens do not fit into one array", remedy="Write --out NAME.jsonl.")
    from bertkit import storage
    from bertkit.embedder import Embedder, write_npy

    model = Embedder(
        hub.folder_of(directory), pooling=pooling, layer=layer, max_seq_length=max_seq_length, device=device
    )
    found = _with_progress(model.stream(texts or _read(file, jsonl), batch_size=batch_size), "embed")
    if out is None:
        for one in found:
            typer.echo(json.dumps(one.as_json(), ensure_ascii=False))
    elif out.suffix == ".npy":
        count = write_npy(out, (one.vector for one in found), model.width)
        typer.echo(f"{out}: {count} x {model.width}")
    else:
        count = storage.write_json_lines(out, (one.as_json() for one in found))
        typer.echo(f"{out}: {count} lines")
    if model.truncated:
        logging.getLogger(__name__).warning("%d texts were cut at the longest that is read", model.truncated)


@use.command()
def fill(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that pretrain wrote, or the like, or USER/NAME[@REVISION].")
    ],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Text with [MASK] where a word is missing.")],
    top_k: Annotated[int, typer.Option(min=1, help="Words to show for each mask.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each text.")] = False,
    device: DeviceOption = "auto",
) -> None:
    """The words that a pretrained model finds likeliest where a text has [MASK]."""
    from bertkit.mask_filler import MaskFiller

    filler = MaskFiller(hub.folder_of(directory), device=device)
    for text, masks in zip(texts, filler.fill(texts, top_k=top_k), strict=True):
        if as_json:
            shown = [[{"token": one.token, "score": one.score} for one in mask] for mask in masks]
            typer.echo(json.dumps({"text": text, "masks": shown}, ensure_ascii=False))
            continue
        typer.echo(text)
        for number, mask in enumerate(masks, 1):
            name = f"{number}: " if len(masks) > 1 else ""
            typer.echo("    " + name + "  ".join(f"{one.token} {one.score:.1%}" for one in mask))


@use.command("attention")
def attention_command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A BERT, pretrained or fine-tuned, or a baseline with attention.")
    ],
    text: Annotated[list[str], typer.Option(help="What it reads; given twice, a pair, or a question and its context.")],
    out: Annotated[Path, typer.Option(help="The .html page or the .svg picture to write.")],
    layer: Annotated[int | None, typer.Option(help="This layer alone, from 1.")] = None,
    head: Annotated[int | None, typer.Option(help="This head alone, from 1.")] = None,
    word: Annotated[str | None, typer.Option(help="Draw only what this word looks at.")] = None,
) -> None:
    """Draw what a model looks at in a text: the heads of a BERT or transformer, or the weights of pooling."""
    if out.suffix not in (".html", ".svg"):
        raise ConfigError(f"--out {out}: what is written is a page or a picture", remedy="Name it .html or .svg.")
    if len(text) > 2:
        raise ConfigError(f"{len(text)} texts were given; a model reads one, or two as a pair")
    from bertkit import storage
    from bertkit.reporting import attention_page
    from bertkit.reporting.attention import Gaze

    gaze = Gaze(hub.folder_of(directory))
    shown = attention_page.chosen_pictures(gaze, layer, head, one=out.suffix == ".svg")
    found, chosen = attention_page.look(gaze, text, shown, word)
    if out.suffix == ".svg":
        written = attention_page.svg(found, chosen=chosen)
    else:
        written = attention_page.html(found, texts=text, model=directory.name, word=word, chosen=chosen)
    storage.write_text(out, written)
    typer.echo(str(out))


@use.command()
def push(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What finetune, pretrain or word2vec wrote.")],
    repo: Annotated[str, typer.Argument(help="Where to: USER/NAME; it is made where it is not there.")],
    metrics: Annotated[list[Path] | None, typer.Option(help="What evaluate wrote for it, for the card.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make it private; one that is public is refused.")] = False,
    license: Annotated[str | None, typer.Option(help="Of the weights, as the Hub spells it: apache-2.0.")] = None,
    language: Annotated[str | None, typer.Option(help="Of the texts: en, zh, ...")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify, and print the card and the files.")] = False,
) -> None:
    """Verify a trained folder and push it with its model card to the Hugging Face Hub, in one commit."""
    from bertkit.artifacts import Metrics
    from bertkit.stages.publish import push_folder

    scores = [Metrics.open(path).read_json("metrics.json") for path in metrics or ()]
    options: dict[str, Any] = {"private": private, "license": license, "language": language}
    card, pushed = push_folder(directory, repo, scores=scores, dry_run=dry_run, **options)
    if dry_run:
        typer.echo(card)
        typer.echo("\n".join(f"would push {name}" for name in pushed["files"]))
    else:
        typer.echo(f"{pushed['url']} {pushed['revision']}")
        for name in pushed["removed"]:
            typer.echo(f"removed {name}, of an older model")


def _check_given(command: str, texts: list[str] | None, file: Path | None) -> None:
    if bool(texts) == (file is not None):
        raise ConfigError(f"{command} needs either texts or --file FILE", remedy="--file - reads standard input.")


def _read(file: Path | None, jsonl: bool) -> Iterable[Any]:
    from bertkit.predictor import read_lines, read_objects

    assert file is not None
    return read_objects(file) if jsonl or file.suffix == ".jsonl" else read_lines(file)


def _grouped(texts: list[str], columns: tuple[str, ...]) -> list[Any]:
    """Arguments as a model's inputs: each alone, or as many together as it reads."""
    width = len(columns)
    if len(texts) % width:
        remedy = f"Give them one after the other, or lines of JSON with {' and '.join(columns)}: --file FILE --jsonl."
        raise ConfigError(f"the model reads {' and '.join(columns)}; {len(texts)} texts were given", remedy=remedy)
    return texts if width == 1 else [texts[i : i + width] for i in range(0, len(texts), width)]


def _with_progress(lines: Iterator[Any], name: str) -> Iterator[Any]:
    """The lines, counted on a terminal where they go elsewhere themselves."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        return lines
    from tqdm import tqdm

    return iter(tqdm(lines, desc=name, unit="rows", mininterval=0.5))
