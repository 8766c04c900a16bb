"""Stage `report`: gather scores, curves, mistakes and counts on one page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from bertkit import storage
from bertkit.artifacts import (
    TRACKERS,
    Checkpoint,
    Corpus,
    Metrics,
    Model,
    PretrainData,
    Report,
    TaskData,
    Tokenizer,
    WordVectors,
)
from bertkit.config import Config, runtime
from bertkit.stage import stage


class ReportConfig(Config):
    """What the page shows."""

    title: Annotated[str, Field(min_length=1)] | None = None
    """The page's title; by default the names of the tasks."""
    examples: Annotated[int, Field(ge=0)] = 12
    """Wrongly predicted texts shown for each task, the most confident mistakes first."""
    attention: Annotated[int, Field(ge=0)] = 1
    """Texts of each task for which what its best model looks at is drawn, where that has attention; the mistakes first."""
    report_to: list[str] = runtime([])
    """Trackers that keep the page and its scores: wandb, tensorboard, trackio, ..."""
    run_name: str = runtime("report")
    """The run's name in trackers."""


@stage("report", version=7)
def report(
    config: ReportConfig,
    metrics: tuple[Metrics, ...],
    pretrain: tuple[Checkpoint, ...] = (),
    corpus: tuple[Corpus, ...] = (),
    tokenizer: tuple[Tokenizer, ...] = (),
    pretrain_data: tuple[PretrainData, ...] = (),
    task_data: tuple[TaskData, ...] = (),
    models: tuple[Model, ...] = (),
    vectors: tuple[WordVectors, ...] = (),
    *,
    out: Path,
) -> Report:
    """Write one page with the scores, curves, mistakes and counts of a whole run."""
    from bertkit.reporting import markdown_page, page
    from bertkit.reporting.collect import collect

    found = collect(
        metrics,
        pretrain=pretrain,
        corpus=corpus,
        tokenizer=tokenizer,
        pretrain_data=pretrain_data,
        task_data=task_data,
        models=models,
        vectors=vectors,
        title=config.title,
        examples=config.examples,
        attention=config.attention,
    )
    storage.write_json(out / "report.json", found)
    storage.write_text(out / "report.html", page.render(found))
    storage.write_text(out / "report.md", markdown_page.render(found))
    if config.report_to:
        _tell_trackers(config, found, out)
    return Report(out)


def _tell_trackers(config: ReportConfig, found: Mapping[str, Any], out: Path) -> None:
    """Scores as `TASK/MODEL/METRIC`, and the page."""
    from bertkit.training.processes import make_accelerator
    from bertkit.training.trackers import close_trackers, keep_report, open_trackers

    scores = {
        f"{task['name']}/{system['model']}/{metric}": value["mean"]
        for task in found["tasks"]
        for system in task["systems"]
        for metric, value in system["metrics"].items()
        if value["mean"] is not None
    }
    runs = storage.make_directory(out / TRACKERS)
    accelerator = make_accelerator("cpu", "no", trackers=config.report_to, out=runs)
    options = config.model_dump(mode="json")
    open_trackers(accelerator, config.report_to, project="bertkit", run=config.run_name, config=options, out=runs)
    keep_report(accelerator, out / "report.html", out / "report.md", scores)
    close_trackers(accelerator)
