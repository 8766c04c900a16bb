"""Stage `evaluate_vectors`: word vectors against people's scores of likeness and against analogies."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from bertkit import storage
from bertkit.artifacts import Metrics, WordVectors
from bertkit.config import Config
from bertkit.stage import stage


class EvaluateVectorsConfig(Config):
    """Which test sets to score."""

    files: Annotated[list[Path], Field(min_length=1)]
    """Test sets: two words and people's score a line, with tabs between (WordSim-353, SimLex-999, MEN, RareWords), or four
    words a line under headings such as `: capitals` (Google's analogies, CA8). The first is the primary one."""
    restrict_vocab: Annotated[int, Field(ge=4)] | None = 30_000
    """Analogies are asked and answered with so many of the most frequent words, as is usual; null for all."""
    frequency_bands: tuple[Annotated[int, Field(ge=0)], ...] = (0, 100, 1000, 10_000)
    """Where bands begin for scores by frequency: an item belongs where the count of its rarest word in the corpus lies."""
    bootstrap_samples: Annotated[int, Field(ge=100)] = 1000
    """Resamples behind the 95 % intervals."""
    name: Annotated[str, Field(min_length=1)] = "word2vec"
    """What the vectors are called in a report."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        stems = [path.stem for path in self.files]
        if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
            raise ValueError(f"scores are named after files, and two are called {twice[0]!r}")
        return self


@stage("evaluate_vectors", version=1, input_files=lambda config: config.files)
def evaluate_vectors(config: EvaluateVectorsConfig, vectors: WordVectors, *, out: Path) -> Metrics:
    """Score word vectors on sets of similar words and of analogies."""
    from bertkit.evaluation import word_vectors

    words, values = vectors.read()
    counts = vectors.read_counts()
    lexicon = word_vectors.Lexicon(words, values)
    rows, sets = [], {}
    for path in config.files:
        found = word_vectors.predict_file(lexicon, path, restrict_vocab=config.restrict_vocab)
        bands = sorted(config.frequency_bands) if counts is not None else []
        sets[path.stem] = word_vectors.score_set(found, counts=counts, samples=config.bootstrap_samples, bands=bands)
        rows += [{"set": path.stem, **row} for row in found]
    storage.write_json_lines(out / "predictions.jsonl", iter(rows))
    storage.write_json(out / "metrics.json", _metrics(config, vectors, values, sets))
    return Metrics(out)


def _metrics(config: EvaluateVectorsConfig, vectors: WordVectors, values: Any, sets: dict[str, Any]) -> dict[str, Any]:
    """As `evaluate` writes them: the score of each set is a metric, named after its file."""
    made = vectors.manifest
    primary = config.files[0].stem
    unknown = {name: found["items"] - found["known"] for name, found in sets.items() if found["known"] < found["items"]}
    left_out = ", ".join(f"{count} of {sets[name]['items']} in {name}" for name, count in unknown.items())
    return {
        "task": "word vectors",
        "kind": "vectors",
        "model": config.name,
        "split": "test",
        "n": sets[primary]["known"],
        "primary": primary,
        "metrics": {name: found["score"] for name, found in sets.items()},
        "intervals": {name: found["interval"] for name, found in sets.items()},
        "sets": sets,
        "seed": made.get("identity", {}).get("config", {}).get("seed"),
        "parameters": int(values.size),
        "train_seconds": made.get("seconds"),
        "notes": [f"Left out, for a word has no vector: {left_out}."] if left_out else [],
    }
