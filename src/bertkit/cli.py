"""The `bertkit` command, and `run_recipe`, the door to one stage from the shell."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from bertkit import __version__, artifacts, hub, stages, storage
from bertkit.artifacts import Artifact
from bertkit.config import build, merge, parse_overrides
from bertkit.errors import BertkitError, ConfigError, StageError
from bertkit.pipeline.graph import Node, Plan, explain, make_plan
from bertkit.pipeline.runner import ERROR_FILE, latest, run
from bertkit.pipeline.spec import find_home, preset_layer
from bertkit.pipeline.summary import write_summaries
from bertkit.stage import Group, Stage
from bertkit.use_commands import use

app = typer.Typer(
    name="bertkit",
    help="From raw text to a published, evaluated BERT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(use)

PipelineArgument = Annotated[Path, typer.Argument(metavar="PIPELINE.yaml", help="What to run, in what order.")]
OverridesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[STAGE.key.path=value]...", help="Values laid over the pipeline's.")
]
RootOption = Annotated[Path, typer.Option(help="Where results are kept.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Folder with local copies of known data sets.")]


@app.command("run")
def run_command(
    pipeline: PipelineArgument,
    overrides: OverridesArgument = None,
    root: RootOption = Path("artifacts"),
    only: Annotated[str | None, typer.Option(help="Run this stage alone; what it reads must be done.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and print the plan.")] = False,
    data_dir: DataDirOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run that holds a directory.")] = False,
    report_to: Annotated[
        list[str] | None,
        typer.Option("--report_to", "--report-to", help="Tracker of trainings and report: wandb, ..., all."),
    ] = None,
) -> None:
    """Run a pipeline: finished stages are skipped, unfinished ones go on."""
    plan = make_plan(pipeline, overrides or [], root=root, data_dir=data_dir)
    if report_to:
        entries = {node.entry for node in plan.nodes if "report_to" in node.stage.config.model_fields}
        named = [f"{entry}.{_trackers(report_to)}" for entry in sorted(entries)]
        plan = make_plan(pipeline, [*(overrides or []), *named], root=root, data_dir=data_dir)
    nodes = plan.select(only) if only else list(plan.nodes)
    if dry_run:
        _print_plan(nodes)
        return
    run(plan, nodes, wait=wait)
    write_summaries(plan, [node.entry for node in nodes])
    _print_reports(plan, nodes)


def _trackers(names: list[str]) -> str:
    """`--report_to` as an override; as others have it, `none` is no tracker and `all` every one that is installed."""
    if "all" in names:
        from accelerate.tracking import get_available_trackers

        names = sorted(str(tracker.value) for tracker in get_available_trackers())
    return f"report_to=[{', '.join(name for name in names if name != 'none')}]"


@app.command("sweep")
def sweep_command(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="What to vary, in which pipeline.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[key.path=value]...", help="Values laid over the sweep's.")
    ] = None,
    root: RootOption = Path("artifacts"),
    out: Annotated[Path | None, typer.Option(help="Folder of the table; by default ROOT/sweeps/SWEEP.")] = None,
    data_dir: DataDirOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run that holds a directory.")] = False,
) -> None:
    """Search for values of a stage's config that do best on the validation split: trials that are done are kept."""
    from bertkit.pipeline.sweep import read_sweep, search

    folder = out or root / "sweeps" / sweep.stem
    result = search(read_sweep(sweep, overrides or []), folder, root=root, data_dir=data_dir, wait=wait)
    best = result["best"]
    typer.echo(f"{result['metric']} {best['value']:.4f} with {' '.join(best['overrides'])}")
    typer.echo(f"table: {folder / 'sweep.md'}")


@app.command()
def status(
    pipeline: PipelineArgument,
    overrides: OverridesArgument = None,
    root: RootOption = Path("artifacts"),
    data_dir: DataDirOption = None,
) -> None:
    """Say which stages are done, unfinished or to do."""
    _print_plan(make_plan(pipeline, overrides or [], root=root, data_dir=data_dir).nodes)


@app.command()
def why(
    pipeline: PipelineArgument,
    stage: Annotated[str, typer.Argument(help="An entry of the pipeline.")],
    overrides: OverridesArgument = None,
    root: RootOption = Path("artifacts"),
    data_dir: DataDirOption = None,
) -> None:
    """Say why a stage would run: the fields that differ from its newest result."""
    plan = make_plan(pipeline, overrides or [], root=root, data_dir=data_dir)
    for node in plan.select(stage):
        for line in explain(node, latest(plan)):
            typer.echo(line)


@app.command("doctor")
def doctor_command(
    root: RootOption = Path("artifacts"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at this machine and environment: what would go wrong or be slow, with remedies (then exit code 3)."""
    from bertkit.doctor import examine

    findings = examine(root)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for one in findings:
            problem = f"\n  PROBLEM: {one.problem}\n  {one.remedy}" if one.problem else ""
            typer.echo(f"{one.name:<20} {one.value}{problem}")
    if any(one.problem for one in findings):
        raise typer.Exit(3)


@app.command("stages")
def stages_command() -> None:
    """List the stages: what each reads, writes and does."""
    for name in stages.NAMES:
        stage = stages.load(name)
        reads = ", ".join(
            f"{port.name}: {port.artifact.__name__}{'...' if port.many else ''}{'?' if port.optional else ''}"
            for port in stage.ports.values()
        )
        typer.echo(f"{name}({reads}) -> {stage.output.__name__}\n    {stage.summary}")


@app.command("convert-vectors")
def convert_vectors(
    source: Annotated[Path, typer.Argument(help="A folder that word2vec wrote, or a word2vec or GloVe file.")],
    target: Annotated[Path, typer.Argument(help="The word2vec file, or the folder, to write.")],
    binary: Annotated[bool, typer.Option("--binary", help="Write word2vec's binary format, not its text.")] = False,
) -> None:
    """Write word vectors as a word2vec file, which gensim reads; or read such a file into a folder for stages."""
    from bertkit.stages import vector_conversion

    convert = vector_conversion.export if source.is_dir() else vector_conversion.read_in
    typer.echo(f"{target}: {convert(source, target, binary=binary)}")


@app.command()
def verify(directory: Annotated[Path, typer.Argument(help="A finished directory.")]) -> None:
    """Check every file of a finished directory against its manifest."""
    count = artifacts.verify(directory)
    typer.echo(f"{directory}: {count} files, all as written")


@app.command("inspect")
def inspect_command(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE-OR-DIR", help="A file of labelled data, or what task_data or pretrain_data wrote."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[key.path=value]...", help="Of a file, values of source; of a store, of pretrain's config."
        ),
    ] = None,
    config: Annotated[str | None, typer.Option(help="A preset of pretrain, or a YAML file.")] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="To count tokens by; of a store by default the one that its manifest names.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs to look at.")] = 2,
    max_sequences: Annotated[int, typer.Option(min=1, help="Sequences of each epoch to look at.")] = 100_000,
    max_duplicate_sentences: Annotated[
        float | None, typer.Option(help="Largest share of held-out sentences that may stand in the training text.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what bertkit understands of labelled data; audit what pretraining would be given.

    Labelled data: format, columns, labels, lengths, what would be cut, bad rows by line (exit code 2 where it cannot be
    used). A store: figures, and the laws they keep or break (exit code 4).
    """
    if path.is_file() or (path / "task.json").is_file():
        _inspect_task(path, overrides or [], tokenizer, as_json)
        return
    from bertkit.stages import inspection
    from bertkit.stages.pretrain import PretrainConfig

    preset = [preset_layer(find_home(Path.cwd()), "pretrain", config)] if config else []
    values = build(PretrainConfig, merge(*preset, parse_overrides(overrides or [])), name="pretrain")
    data, its_tokenizer = inspection.open_pretrain_data(path, tokenizer)
    findings = inspection.audit_pretrain_data(
        values,
        data,
        its_tokenizer,
        epochs=epochs,
        max_sequences=max_sequences,
        max_duplicate_sentences=max_duplicate_sentences,
    )
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            verdict = ("ok" if finding.holds else "BROKEN") if finding.law else ""
            typer.echo(f"{verdict:<7} {finding.name:<72} {finding.value!s:<10} {finding.law}".rstrip())
    inspection.refuse_broken(findings, path)


def _inspect_task(path: Path, overrides: list[str], tokenizer: Path | None, as_json: bool) -> None:
    from bertkit.stages import task_inspection

    given = parse_overrides(item.removeprefix("source.") for item in overrides).data
    if path.is_file():
        found = task_inspection.inspect_file(path, given, tokenizer=tokenizer)
    else:
        found = task_inspection.inspect_folder(path, tokenizer=tokenizer)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for line in task_inspection.as_text(found):
            typer.echo(line)
    task_inspection.refuse_unusable(found)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"bertkit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """From raw text to a published, evaluated BERT."""


def _print_plan(nodes: "list[Node] | tuple[Node, ...]") -> None:
    for node in nodes:
        typer.echo(f"{node.state:<11} {node.name:<24} {node.out}")


def _print_reports(plan: Plan, nodes: list[Node]) -> None:
    for node in nodes:
        page = latest(plan) / node.name / "report.html"
        if page.is_file():
            typer.echo(f"report: {page}")


# --- recipes ---------------------------------------------------------------------------------------------------


def run_recipe(stage: Stage) -> None:
    """Run one stage as a program: `--config PRESET-or-FILE --input name=DIR ... --out DIR key.path=value ...`."""

    def recipe(
        out: Annotated[Path, typer.Option(help="The directory to write.")],
        overrides: Annotated[list[str] | None, typer.Argument(metavar="[key.path=value]...")] = None,
        config: Annotated[str | None, typer.Option(help="A preset's name or a YAML file.")] = None,
        inputs: Annotated[
            list[str] | None, typer.Option("--input", metavar="NAME=DIR", help=_describe_ports(stage))
        ] = None,
        wait: Annotated[bool, typer.Option("--wait", help="Wait for another run that holds --out.")] = False,
        report_to: Annotated[
            list[str] | None, typer.Option("--report_to", "--report-to", help="Tracker of a training: wandb, ..., all.")
        ] = None,
    ) -> None:
        home = find_home(Path(sys.argv[0]).resolve().parent)
        preset = [preset_layer(home, stage.name, config)] if config else []
        trackers = [_trackers(report_to)] if report_to else []
        values = build(stage.config, merge(*preset, parse_overrides([*(overrides or []), *trackers])), name=stage.name)
        given = _open_inputs(stage, inputs or [])
        names: dict[str, Any] = {
            port: [one.fingerprint for one in value] if isinstance(value, tuple) else value.fingerprint
            for port, value in given.items()
        }
        identity = stage.identity(values, names, storage.Digests())
        group = _join_group()
        stage.run(values, given, out, identity, group=group, wait=wait)
        if group.is_main:
            typer.echo(str(out))
        if group.world_size > 1:
            from bertkit.training.processes import leave

            leave()

    recipe.__doc__ = stage.fn.__doc__
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    program.command()(recipe)
    _exit_with(program)


def _describe_ports(stage: Stage) -> str:
    return "; ".join(f"{port.name}: {port.artifact.__name__}" for port in stage.ports.values()) or "none"


def _open_inputs(stage: Stage, items: list[str]) -> dict[str, Artifact | tuple[Artifact, ...]]:
    found: dict[str, list[Artifact]] = {}
    for item in items:
        name, equals, path = item.partition("=")
        if not equals or name not in stage.ports:
            known = ", ".join(stage.ports) or "no inputs"
            raise ConfigError(f"--input {item!r} is not NAME=DIR with a name of {stage.name} ({known})")
        found.setdefault(name, []).append(stage.ports[name].artifact.open(hub.folder_of(path)))
    given: dict[str, Artifact | tuple[Artifact, ...]] = {}
    for name, several in found.items():
        if stage.ports[name].many:
            given[name] = tuple(several)
        elif len(several) == 1:
            given[name] = several[0]
        else:
            raise StageError(f"{stage.name} takes one {name!r}, {len(several)} were given")
    return given


def _join_group() -> Group:
    """The processes of this launch; alone unless a launcher started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        if os.environ.get("MASTER_PORT") and "RANK" not in os.environ:
            # accelerate sets these when it was asked for several processes, and starts one all the same.
            logging.getLogger(__name__).warning(
                "the launcher was asked for several processes but started one. On CPUs use: "
                "ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes N ..."
            )
        return Group()
    from bertkit.training.processes import join

    processes = join()
    return Group(processes.process_index, processes.num_processes, processes.wait_for_everyone)


def main() -> None:
    """The `bertkit` command."""
    _exit_with(app)


def _exit_with(program: Callable[..., Any]) -> None:
    """Run a command; a user's error is printed without a traceback and ends with its own exit code.

    SIGTERM ends with 143, SIGINT with 130; training stages save a checkpoint at SIGTERM first.
    """
    rank = os.environ.get("RANK", "0")
    logging.basicConfig(
        level=logging.INFO if rank == "0" else logging.WARNING,
        format="%(message)s",
        stream=sys.stderr,
    )
    for name in ("httpx", "httpx2"):  # the Hub's clients: a line for each request, with addresses that hold signatures
        logging.getLogger(name).setLevel(logging.WARNING)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        program()
    except BertkitError as e:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a launcher sends it to processes that outlive another
        if path := os.environ.get(ERROR_FILE):
            error = {"what": e.what, "where": e.where, "remedy": e.remedy, "exit_code": e.exit_code}
            storage.write_json(Path(path), error)
        typer.echo(f"error: {e}", err=True)
        raise SystemExit(e.exit_code) from None
    except MemoryError:
        typer.echo("error: out of memory\n  Use a smaller batch, sequence length or number of workers.", err=True)
        raise SystemExit(3) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    """End as a shell reports a signal, but through every `finally`."""
    raise SystemExit(128 + number)
