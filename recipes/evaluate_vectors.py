"""Score word vectors on sets of similar words and of analogies.

    python recipes/evaluate_vectors.py --input vectors=DIR --out artifacts/my-scores files=[wordsim353.tsv]

Reads   vectors (WordVectors)
Writes  Metrics
"""

from bertkit.cli import run_recipe
from bertkit.stages.evaluate_vectors import evaluate_vectors

if __name__ == "__main__":
    run_recipe(evaluate_vectors)
