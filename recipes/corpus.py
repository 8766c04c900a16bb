"""Clean raw text into documents of sentences.

    python recipes/corpus.py --config bbc --out artifacts/my-corpus

Reads   raw text: text, jsonl, parquet, wiki, bbc or hub (see recipes/presets/corpus)
Writes  Corpus
"""

from bertkit.cli import run_recipe
from bertkit.stages.corpus import corpus

if __name__ == "__main__":
    run_recipe(corpus)
