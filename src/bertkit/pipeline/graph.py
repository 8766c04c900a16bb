"""From a pipeline to a plan: every entry checked and named by its fingerprint before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from bertkit import artifacts, hub, stages, storage
from bertkit.artifacts import Artifact
from bertkit.config import Config, Layer, check, fingerprint, merge, parse_overrides, raise_mistakes
from bertkit.errors import BertkitError, ConfigError, StageError, did_you_mean
from bertkit.pipeline.patterns import expand
from bertkit.pipeline.spec import Entry, Pipeline, preset_layer, read_pipeline
from bertkit.stage import Port, Stage

T = TypeVar("T")

State = Literal["done", "unfinished", "to do"]


class Variant(NamedTuple):
    """Which of an entry's repetitions: its seed, its fold such as `3/10`, and its training rows, where it has several."""

    seed: int | None = None
    fold: str | None = None
    rows: int | Literal["all"] | None = None

    @property
    def suffix(self) -> str:
        """What it adds to the entry's name: `@1`, `@fold3`, `@300rows` or `@1@fold3@300rows`."""
        seed = "" if self.seed is None else f"@{self.seed}"
        fold = "" if self.fold is None else f"@fold{self.fold.partition('/')[0]}"
        return seed + fold + ("" if self.rows is None else f"@{self.rows}rows")


@dataclass(frozen=True, slots=True)
class Node:
    """One stage to run: `name` is the entry's, with `@seed`, `@foldN` or `@Nrows` where the entry is run several times."""

    name: str
    entry: str
    stage: Stage
    config: Config
    inputs: Mapping[str, "tuple[Node | Artifact, ...]"]
    identity: dict[str, Any]
    out: Path
    launch: str
    variant: Variant = field(default_factory=Variant)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.identity)

    @property
    def state(self) -> State:
        if artifacts.read_manifest(self.out) is not None:
            return "done"
        return "unfinished" if (self.out / artifacts.UNFINISHED).exists() else "to do"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every node of a pipeline, each after what it reads."""

    pipeline: Pipeline
    root: Path
    nodes: tuple[Node, ...]

    def select(self, entry: str) -> list[Node]:
        """The nodes of one entry (or one node by its full name).

        Raises:
            ConfigError: there is no such entry.
        """
        chosen = [node for node in self.nodes if entry in (node.entry, node.name)]
        if not chosen:
            names = list(self.pipeline.entries)
            raise ConfigError(f"the pipeline has no stage {entry!r}{did_you_mean(entry, names) or ''}")
        return chosen


def make_plan(path: Path, overrides: list[str], *, root: Path, data_dir: Path | None = None) -> Plan:
    """Check a pipeline as a whole and name every result.

    Raises:
        ConfigError: every mistake in the pipeline, its presets, overrides, edges and data files, together.
    """
    written = read_pipeline(path, parse_overrides(overrides))
    pipeline = replace(written, entries=expand(written.entries))
    builder = _Builder(pipeline, root, data_dir)
    nodes = builder.build()
    raise_mistakes(str(path), builder.mistakes)
    builder.digests.save()
    return Plan(pipeline, root, tuple(nodes))


class _Builder:
    """Collects nodes and mistakes; an entry with a mistake has no nodes, and neither has what reads it."""

    def __init__(self, pipeline: Pipeline, root: Path, data_dir: Path | None) -> None:
        self.pipeline, self.root, self.data_dir = pipeline, root, data_dir
        self.mistakes: list[str] = []
        self.nodes: dict[str, dict[Variant, Node]] = {}
        self.digests = storage.Digests(root / ".digests.json")

    def build(self) -> list[Node]:
        loaded: dict[str, tuple[Stage, Config]] = {}
        for name, entry in self.pipeline.entries.items():
            if (found := self._load(name, entry)) is not None:
                loaded[name] = found
        for name in self._order():
            if name in loaded:
                self._add(name, self.pipeline.entries[name], *loaded[name])
        return [node for by_variant in self.nodes.values() for node in by_variant.values()]

    def _where(self, *path: str) -> str:
        return self.pipeline.layer.place(("stages", *path)) or self.pipeline.name

    def _load(self, name: str, entry: Entry) -> tuple[Stage, Config] | None:
        """The stage of an entry and its config, presets and overrides applied; edges checked by type."""
        try:
            stage = stages.load(entry.stage)
        except ConfigError as e:
            self.mistakes.append(f"{self._where(name, 'stage')}: {name}: {e.what}")
            return None
        self._check_edges(name, entry, stage)
        try:
            preset = preset_layer(self.pipeline.home, entry.stage, entry.preset) if entry.preset else Layer({})
        except ConfigError as e:
            self.mistakes.append(f"{e.where or self._where(name, 'preset')}: {name}: {e.what}")
            return None
        layer = merge(preset, self._data_dir_layer(stage), self.pipeline.layer.section("stages", name, "config"))
        config, mistakes = check(stage.config, layer, name=name)
        if entry.seeds is not None and "seed" not in stage.config.model_fields:
            mistakes = [*mistakes, f"{self._where(name, 'seeds')}: {name}: {entry.stage} has no seed to vary"]
        if entry.folds is not None and "fold" not in stage.config.model_fields:
            mistakes = [
                *mistakes,
                f"{self._where(name, 'folds')}: {name}: folds are cut by task_data, not {entry.stage}",
            ]
        # Of finetune alone: task_data has max_train_samples too, but another data for each size would be another test split.
        if entry.train_sizes is not None and entry.stage != "finetune":
            where = self._where(name, "train_sizes")
            mistakes = [*mistakes, f"{where}: {name}: train_sizes are of finetune, not {entry.stage}"]
        if config is not None and not entry.inputs.keys() - stage.ports.keys():
            try:
                stage.fits(config, {port for port, given in entry.inputs.items() if given})
            except ConfigError as e:
                mistakes = [*mistakes, f"{self._where(name)}: {name}: {e.what}. {e.remedy}"]
        self.mistakes += mistakes
        return None if config is None else (stage, config)

    def _data_dir_layer(self, stage: Stage) -> Layer:
        wants = self.data_dir is not None and "data_dir" in stage.config.model_fields
        return Layer({"data_dir": str(self.data_dir)}, {("data_dir",): "--data-dir"}) if wants else Layer({})

    def _check_edges(self, name: str, entry: Entry, stage: Stage) -> None:
        for port_name in entry.inputs.keys() - stage.ports.keys():
            guess = did_you_mean(port_name, list(stage.ports)) or f"; it reads {', '.join(stage.ports) or 'nothing'}"
            self.mistakes.append(
                f"{self._where(name, 'inputs', port_name)}: {name}: {stage.name} has no input {port_name!r}{guess}"
            )
        for port in stage.ports.values():
            given = entry.inputs.get(port.name)
            if given is None and not port.optional:
                self.mistakes.append(
                    f"{self._where(name)}: {name}: needs the input {port.name!r} (a {port.artifact.__name__})"
                )
            if isinstance(given, list) and not port.many:
                self.mistakes.append(
                    f"{self._where(name, 'inputs', port.name)}: {name}: the input {port.name!r} takes one, not a list"
                )
            for source in _listed(given):
                self._check_source(name, port, source)

    def _check_source(self, name: str, port: Port, source: str) -> None:
        where = self._where(name, "inputs", port.name)
        if _is_path(source):
            return
        entry = self.pipeline.entries.get(self._entry_of(source))
        if entry is None:
            guess = did_you_mean(source, list(self.pipeline.entries)) or ""
            self.mistakes.append(f"{where}: {name}: reads {source!r}, which is no stage of this pipeline{guess}")
            return
        if entry.stage in stages.NAMES and not issubclass(stages.load(entry.stage).output, port.artifact):
            made = stages.load(entry.stage).output.__name__
            self.mistakes.append(
                f"{where}: {name}: the input {port.name!r} must be a {port.artifact.__name__}, {source} makes a {made}"
            )

    def _entry_of(self, source: str) -> str:
        """The entry of which a source is all results, or one of several, as `topic_bert@1` is of `topic_bert`."""
        return source if source in self.pipeline.entries else source.partition("@")[0]

    def _order(self) -> list[str]:
        """Entry names, each after those it reads; a cycle is a mistake."""
        order: list[str] = []
        open_names: list[str] = []

        def visit(name: str) -> None:
            if name in order or name not in self.pipeline.entries:
                return
            if name in open_names:
                circle = " -> ".join([*open_names[open_names.index(name) :], name])
                self.mistakes.append(f"{self._where(name)}: {name}: reads itself: {circle}")
                return
            open_names.append(name)
            for given in self.pipeline.entries[name].inputs.values():
                for source in _listed(given):
                    visit(self._entry_of(source))
            open_names.pop()
            order.append(name)

        for name in self.pipeline.entries:
            visit(name)
        return order

    def _add(self, name: str, entry: Entry, stage: Stage, config: Config) -> None:
        named = [source for given in entry.inputs.values() for source in _listed(given) if not _is_path(source)]
        sources = set(map(self._entry_of, named))
        if sources - self.nodes.keys():
            return  # an input has a mistake of its own
        try:
            self.nodes[name] = {
                variant: self._node(name, entry, stage, config, variant)
                for variant in self._variants(name, entry, stage)
            }
        except BertkitError as e:
            place = e.where or self._where(name)
            remedy = f". {e.remedy}" if e.remedy else ""
            self.mistakes.append(f"{place}: {name}: {e.what}{remedy}")

    def _variants(self, name: str, entry: Entry, stage: Stage) -> list[Variant]:
        """Own seeds, folds and sizes, or those of the single inputs, which an entry that reads one result each must follow."""
        read = [
            self.nodes[source]
            for port_name, given in entry.inputs.items()
            if port_name in stage.ports and not stage.ports[port_name].many
            for source in _listed(given)
            if source in self.nodes
        ]
        folds = [f"{i}/{entry.folds}" for i in range(1, entry.folds + 1)] if entry.folds else None
        seeds = _agreed("seeds", entry.seeds, [[variant.seed for variant in nodes] for nodes in read])
        sizes = _agreed("train_sizes", entry.train_sizes, [[variant.rows for variant in nodes] for nodes in read])
        variants = [
            Variant(seed, fold, rows)
            for fold in _agreed("folds", folds, [[variant.fold for variant in nodes] for nodes in read])
            for rows in sizes
            for seed in seeds
        ]
        if stage.once and len(variants) > 1:
            source = next(
                source for given in entry.inputs.values() for source in _listed(given) if source in self.nodes
            )
            raise ConfigError(
                f"would be done {len(variants)} times, each in place of the one before: its input has as many results",
                remedy=f"Name one of them, such as {source}{variants[0].suffix}, and its scores likewise.",
            )
        return variants

    def _node(self, name: str, entry: Entry, stage: Stage, config: Config, variant: Variant) -> Node:
        if entry.seeds:
            config = config.model_copy(update={"seed": variant.seed})
        if entry.folds:
            config = config.model_copy(update={"fold": variant.fold})
        if entry.train_sizes:
            config = config.model_copy(update={"max_train_samples": None if variant.rows == "all" else variant.rows})
        inputs = {
            port: tuple(
                found for source in _listed(given) for found in self._results(source, stage.ports[port], variant)
            )
            for port, given in entry.inputs.items()
        }
        names: dict[str, str | list[str] | None] = {
            port: [one.fingerprint for one in found] if stage.ports[port].many else found[0].fingerprint
            for port, found in inputs.items()
            if found
        }
        identity = stage.identity(config, names, self.digests)
        out = self.root / stage.name / fingerprint(identity)
        return Node(name + variant.suffix, name, stage, config, inputs, identity, out, entry.launch, variant)

    def _results(self, source: str, port: Port, variant: Variant) -> "Iterator[Node | Artifact]":
        if _is_path(source):
            if not (folder := hub.folder_of(source)).is_dir():
                remedy = f"The input {port.name!r} is a folder: STAGE.inputs.{port.name}=FOLDER."
                raise StageError("no such directory", where=str(folder), remedy=remedy)
            yield port.artifact.open(folder)
        elif source not in self.nodes:
            results = {node.name: node for node in self.nodes[self._entry_of(source)].values()}
            if source not in results:
                raise ConfigError(f"there is no result {source!r}{did_you_mean(source, list(results))}")
            yield results[source]
        elif port.many:
            yield from self.nodes[source].values()
        else:
            nodes = self.nodes[source]
            first = next(iter(nodes))
            shared = [None if mine is None else wanted for mine, wanted in zip(first, variant, strict=True)]
            yield nodes[Variant(*shared)]  # type: ignore[arg-type]


def _agreed(what: str, own: Sequence[T] | None, inherited: Sequence[Sequence[T | None]]) -> list[T | None]:
    """The seeds, folds or sizes to run for: `own`, or those of every input that has several; [None] where nobody has."""
    wanted = {tuple(dict.fromkeys(values)) for values in inherited if None not in values} | (
        {tuple(own)} if own else set()
    )
    if len(wanted) > 1:
        raise ConfigError(f"its inputs are run for different {what}: {sorted(map(str, wanted))}")
    return list(next(iter(wanted), (None,)))


def _listed(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or [])


def _is_path(source: str) -> bool:
    return "/" in source


def explain(node: Node, latest: Path) -> list[str]:
    """Why `node` would run: what differs from the newest result of the same entry, or of the same stage."""
    if node.state == "done":
        return [f"{node.name} is done: {node.out}"]
    old = _newest(node, latest)
    if old is None:
        return [f"{node.name} has never been run here"]
    from bertkit.stage import differences

    changed = differences(old["identity"], node.identity)
    lines = [f"{node.name} would run again; against {old['stage']}/{old['fingerprint']}:", *(f"  {c}" for c in changed)]
    for given in node.inputs.values():
        for one in given:
            if isinstance(one, Node) and one.state != "done":
                lines += [f"  {line}" for line in explain(one, latest)]
    return lines


def _newest(node: Node, latest: Path) -> dict[str, Any] | None:
    linked = artifacts.read_manifest(latest / node.name)
    if linked is not None:
        return linked
    siblings = [artifacts.read_manifest(path) for path in node.out.parent.glob("*") if path.is_dir()]
    finished = [manifest for manifest in siblings if manifest is not None]
    return max(finished, key=lambda manifest: str(manifest["created"]), default=None)
