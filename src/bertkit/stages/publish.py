"""Stage `publish`: verify a trained folder, write its card, and put both on the Hugging Face Hub in one commit."""

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path, PurePath
from typing import Any

from pydantic import field_validator

from bertkit import artifacts, hub, storage
from bertkit.artifacts import CARD, MANIFEST, Artifact, Checkpoint, Metrics, Model, Publication, WordVectors
from bertkit.config import Config
from bertkit.errors import ConfigError, IntegrityError, StageError
from bertkit.stage import stage

# What a repository may hold of an older model, ours or of transformers: a reader would take it for part of the new one.
_OF_A_MODEL = (
    *(
        "*.safetensors",
        "*.safetensors.index.json",
        "pytorch_model*",
        "tf_model*.h5",
        "flax_model*.msgpack",
        "adapter_*",
    ),
    *("config.json", "network.json", "predictor.json", "trainer_state.json", "log.jsonl", "stats.json", MANIFEST),
    *(
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "*vocab.txt",
        "*words.txt",
    ),
)
# Two implementations of one network differ by rounding alone.
_TOLERANCE = 1e-4


class PublishConfig(Config):
    """Where to, and what the card says that no file knows."""

    repo: str
    """The repository: USER/NAME or ORGANISATION/NAME. It is made where it is not there."""
    private: bool = False
    """Whether a repository that is made is private; one that is there and public is refused then."""
    license: str | None = None
    """The licence of the weights as the Hub spells it, such as apache-2.0."""
    language: str | None = None
    """The language of the texts, such as en or zh."""
    dry_run: bool = False
    """Verify and write the card, and push nothing."""

    @field_validator("repo")
    @classmethod
    def _is_a_name(cls, repo: str) -> str:
        try:
            hub.check_name(repo)
        except ConfigError as e:
            raise ValueError(e.what) from None
        return repo


def _one_input(config: PublishConfig, names: Set[str]) -> None:
    if len(names & {"model", "checkpoint", "vectors"}) != 1:
        what = "publish takes one of the inputs `model`, `checkpoint` and `vectors`"
        raise ConfigError(what, remedy=f"It was given {' and '.join(sorted(names)) or 'none'}.")


@stage("publish", version=1, fits=_one_input, once=True)
def publish(
    config: PublishConfig,
    model: Model | None = None,
    checkpoint: Checkpoint | None = None,
    vectors: WordVectors | None = None,
    metrics: tuple[Metrics, ...] = (),
    *,
    out: Path,
) -> Publication:
    """Push a fine-tuned model, a pretrained checkpoint or word vectors with a card to the Hugging Face Hub."""
    given = next(one for one in (model, checkpoint, vectors) if one is not None)
    scores = [one.read_json("metrics.json") for one in metrics]
    options: dict[str, Any] = {"private": config.private, "license": config.license, "language": config.language}
    card, pushed = push_folder(given.path, config.repo, scores=scores, dry_run=config.dry_run, **options)
    storage.write_text(out / CARD, card)
    storage.write_json(out / "published.json", pushed)
    return Publication(out)


def push_folder(
    folder: Path,
    repo: str,
    *,
    scores: Sequence[Mapping[str, Any]] = (),
    private: bool = False,
    license: str | None = None,
    language: str | None = None,
    dry_run: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Verify what `finetune`, `pretrain` or `word2vec` wrote into `folder`, and push it; the card, and what was pushed where.

    Args:
        scores: contents of `metrics.json` for the card.
        dry_run: do everything but push; `revision` is None then.

    Raises:
        ConfigError: `repo` is no repository's name, or the scores are another's.
        StageError: the folder holds no model.
        IntegrityError: a file is not as written, or transformers' own class gives other outputs for the folder.
        HostError: the Hub cannot be reached or refuses.
    """
    hub.check_name(repo)
    manifest = _verified(folder)
    is_vectors = manifest["artifact"] == WordVectors.__name__
    card = (_vector_card if is_vectors else _card)(folder, repo, scores, license=license, language=language)
    content: dict[str, Path | bytes] = {CARD: card.encode(), MANIFEST: _text(_portable(manifest))}
    content |= {name: folder / name for name in manifest["files"]}
    facts = {"repo": repo, "files": sorted(content)}
    if dry_run:
        return card, {**facts, "url": None, "revision": None}
    message = f"bertkit: {'word vectors' if is_vectors else 'model, tokenizer'} and card"
    pushed = hub.push(repo, content, message=message, private=private or None, replaces=_OF_A_MODEL)
    return card, {**facts, "url": pushed.url, "revision": pushed.revision, "removed": list(pushed.removed)}


def _verified(folder: Path) -> dict[str, Any]:
    """The manifest of a folder that is whole and may be pushed."""
    may = (Model, Checkpoint, WordVectors)
    if (folder / "config.json").is_file() and not (folder / MANIFEST).is_file():
        what = "was not written by bertkit, or not to its end: nothing says how it was made"
        raise StageError(what, where=str(folder), remedy="Run its stage to the end; others' folders go by `hf upload`.")
    manifest = Artifact.open(folder).manifest
    if manifest["artifact"] not in [one.__name__ for one in may]:
        raise StageError(
            f"is a {manifest['artifact']}: no model",
            where=str(folder),
            remedy="Push what finetune, pretrain or word2vec wrote; scores go with it by --metrics.",
        )
    artifacts.verify(folder)
    return manifest


def _card(
    folder: Path, repo: str, scores: Sequence[Mapping[str, Any]], *, license: str | None, language: str | None
) -> str:
    from bertkit.models.interchange import snippet
    from bertkit.reporting import card_examples
    from bertkit.reporting.model_card import CardFacts, render
    from bertkit.text.vocabulary import read_entries

    def read(name: str) -> Any:
        path = folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    predictor, manifest = read("predictor.json"), artifacts.read_manifest(folder) or {}
    network = read("config.json") or read("network.json")
    chinese = language.startswith("zh") if language else card_examples.is_chinese(read_entries(folder))
    code: Sequence[str] = ()
    if _loads_in(folder, predictor) is not None:
        kind = "pretraining" if predictor is None else predictor["kind"]
        given = card_examples.texts(predictor, chinese=chinese)
        options = {"problem_type": (predictor or {}).get("problem_type")}
        if predictor is not None and kind == "classification":
            options["max_length"] = predictor["settings"]["max_seq_length"]
        code = snippet(kind, repo, given, **options)
    return render(
        CardFacts(
            repo=repo,
            manifest=manifest,
            state=read("trainer_state.json"),
            network=network,
            predictor=predictor,
            metrics=[_of(predictor, one, repo) for one in scores],
            snippet=code,
            license=license,
            language=language,
            base=_base(manifest),
            chinese=chinese,
        )
    )


def _base(manifest: Mapping[str, Any]) -> str | None:
    """The repository of the model that a training began with, where its folder is one of the cache."""
    start = manifest.get("inputs", {}).get("start")
    random = manifest.get("config", {}).get("init") == "random"
    return None if random or not isinstance(start, str) else hub.name_of(start)


def _vector_card(
    folder: Path, repo: str, scores: Sequence[Mapping[str, Any]], *, license: str | None, language: str | None
) -> str:
    from bertkit.reporting import vector_card

    made = WordVectors(folder)
    manifest, (words, values) = artifacts.read_manifest(folder) or {}, made.read()
    mine = (int(values.size), manifest.get("seconds"))
    for one in scores:
        if one["kind"] != "vectors" or (one["parameters"], one["train_seconds"]) != mine:
            what = f"scores of {one['model']} on {one['task']} are not these vectors'"
            raise ConfigError(what, where=repo, remedy="Give what evaluate_vectors made of the same folder.")
    stats = made.read_json("stats.json") if (folder / "stats.json").is_file() else {}
    options: dict[str, Any] = {"license": license, "language": language}
    options |= {"words": words, "width": values.shape[1]}
    return vector_card.render(repo, manifest=manifest, stats=stats, metrics=scores, **options)


def _of(predictor: Mapping[str, Any] | None, scores: Mapping[str, Any], repo: str) -> Mapping[str, Any]:
    """The scores, where they are this model's."""
    keys = ("task", "seed", "parameters", "train_seconds")  # the last one tells two runs of one name apart
    mine = predictor is not None and scores["model"] == predictor["name"]
    if predictor is None or not mine or any(scores[key] != predictor[key] for key in keys):
        what = f"scores of {scores['model']} (seed {scores['seed']}) on {scores['task']} are not this model's"
        raise ConfigError(what, where=repo, remedy="Give what evaluate made of the same folder.")
    return scores


def _loads_in(folder: Path, predictor: Mapping[str, Any] | None) -> str | None:
    """The transformers class that reads the folder, once it has given what bertkit gives; None where none reads it."""
    from bertkit.models.interchange import class_name, masked_lm_difference

    kind, settings = ("pretraining", {}) if predictor is None else (predictor["kind"], predictor["settings"])
    name = class_name(folder, kind, dict(settings))
    if name is None:
        return None
    difference = masked_lm_difference(folder) if predictor is None else _task_difference(folder, predictor)
    if not difference <= _TOLERANCE:
        raise IntegrityError(
            f"{name} gives outputs that differ by {difference:.2g} from bertkit's",
            where=str(folder),
            remedy="The installed transformers reads this folder differently: publish with the versions of its manifest.",
        )
    return name


def _task_difference(folder: Path, predictor: Mapping[str, Any]) -> float:
    """The largest difference between the outputs of transformers and of bertkit for a text."""
    import numpy as np
    import torch

    from bertkit.kinds import kind_of
    from bertkit.models.interchange import transformers_outputs
    from bertkit.training.loop import to_tensors

    kind = kind_of(predictor, predictor["settings"], where=str(folder))
    text = "Ada Lovelace met Charles Babbage in London. 李白在长安。"
    row = kind.as_row(dict.fromkeys(kind.columns, text), 1)
    batch = to_tensors(kind.encode(folder, [row]).collate(np.array([0])), "cpu")
    theirs = transformers_outputs(folder, predictor["kind"], batch)
    with torch.inference_mode():
        ours = kind.load_objective(folder).eval().outputs(batch)
    return max(float((ours[name] - other).abs().max()) for name, other in theirs.items())


def _portable(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest without places on this machine: inputs by their fingerprints, files by their names."""
    if "config" not in manifest:  # vectors read from a file
        return manifest
    told: dict[str, Any] = {
        name: _name_alone(manifest[name]) for name in ("config", "given", "identity") if name in manifest
    }
    return {**manifest, **told, "inputs": manifest["identity"]["inputs"]}


def _name_alone(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _name_alone(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_name_alone(one) for one in value]
    return PurePath(value).name if isinstance(value, str) and "/" in value else value


def _text(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
