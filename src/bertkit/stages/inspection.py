"""`bertkit inspect`: audits finished data as the stage that reads it would use it."""

from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from bertkit.artifacts import MANIFEST, UNFINISHED, PretrainData, Tokenizer
from bertkit.errors import IntegrityError, StageError
from bertkit.stages.pretrain import PretrainConfig, count_steps, read_data

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    from bertkit.data.audit import Finding
    from bertkit.data.audit_batches import ArrayAudit
    from bertkit.data.pretraining import PretrainingData


def open_pretrain_data(path: Path, tokenizer: Path | None) -> tuple[PretrainData, Tokenizer]:
    """The data in `path` and its tokenizer, by default the one that its manifest names.

    Raises:
        StageError: `path` is not a folder that pretrain_data wrote, or the tokenizer is not where it was.
    """
    if path.is_file():
        raise StageError("is a file; inspect reads the folders that pretrain_data wrote", where=str(path))
    if path.is_dir() and not any((path / name).exists() for name in (MANIFEST, UNFINISHED)):
        remedy = (
            "Name one file of labelled data; texts in a file each are first written as one table of text and label."
        )
        raise StageError("is a folder that no stage of bertkit wrote", where=str(path), remedy=remedy)
    data = PretrainData.open(path)
    named = Path(data.manifest["inputs"]["tokenizer"])
    if tokenizer is None and not named.is_dir():
        raise StageError(
            f"was made with the tokenizer in {named}, which is not there",
            where=str(path),
            remedy="Say --tokenizer DIR.",
        )
    return data, Tokenizer.open(tokenizer or named)


def audit_pretrain_data(
    config: PretrainConfig,
    data: PretrainData,
    tokenizer: Tokenizer,
    *,
    epochs: int,
    max_sequences: int,
    max_duplicate_sentences: float | None = None,
) -> "list[Finding]":
    """Hold the store, the plans of `epochs` epochs and up to `max_sequences` sequences of each against their laws."""
    from bertkit.data.audit import Finding, audit_duplicates, audit_plan, audit_renewal, audit_store
    from bertkit.data.audit_batches import ArrayAudit, audit_new_masks

    train, heldout = read_data(config, data, tokenizer)
    findings = audit_store(train.store, train.special, train.vocabulary)
    if heldout is not None:
        findings += audit_store(heldout.store, heldout.special, heldout.vocabulary)
    if not all(finding.holds for finding in findings):
        return findings  # plans over broken offsets would say nothing
    if heldout is not None:
        findings += audit_duplicates(train.store, heldout.store, max_share=max_duplicate_sentences)

    count_steps(config, train.steps_per_epoch(config.train_batch_size))
    findings += [Finding(f"epoch 0: {name.replace('_', ' ')}", count) for name, count in train.counts().items()]
    arrays = ArrayAudit(
        train.store,
        train.special,
        train.vocabulary,
        config.max_seq_length,
        config.mlm_probability,
        config.mask_strategy,
    )
    before, masked_before = None, None
    for epoch in range(epochs):
        plan = train.plan(epoch)
        masked = _audit_batches(arrays, train, epoch, config.train_batch_size, max_sequences)
        found = audit_plan(plan, train.store, config.objective)
        if before is not None and masked_before is not None:
            found.append(audit_renewal(before, plan)) if config.objective != "mlm" else None
            found.append(audit_new_masks(masked_before, masked, train.store.counts["tokens"]))
        findings += [Finding(f"epoch {epoch}: {one.name}", one.value, one.law, one.holds) for one in found]
        before, masked_before = plan, masked
    return findings + arrays.findings()


def _audit_batches(
    audit: "ArrayAudit", train: "PretrainingData", epoch: int, batch_size: int, max_sequences: int
) -> "NDArray[int64]":
    """Show an epoch's first batches to `audit`; returns the store's tokens that are masked in them."""
    import numpy as np

    from bertkit.data.batching import Position

    plan, masked, seen = train.plan(epoch), [], 0
    batches = train.batches(batch_size, batch_size, rank=0, world_size=1, start=Position(epoch, 0, 1))
    for batch in takewhile(lambda batch: batch.position.epoch == epoch, batches):
        for _, arrays in batch.micro_batches:
            masked.append(audit.add(plan, batch.rows, arrays))
        seen += batch.sequences
        if seen >= max_sequences:
            break
    return np.concatenate(masked)


def refuse_broken(findings: "list[Finding]", where: Path) -> None:
    """Raise an IntegrityError that names every law that does not hold, if there is one."""
    broken = [f"{one.name}: {one.value}, the law is {one.law}" for one in findings if not one.holds]
    if broken:
        raise IntegrityError("\n  ".join([f"breaks {len(broken)} of its laws:", *broken]), where=str(where))
