"""Learn word vectors from a corpus: skip-gram or CBOW, by negative sampling or hierarchical softmax.

    python recipes/word2vec.py --config skipgram --input corpus=DIR --out artifacts/my-vectors vector_size=300

Reads   corpus (Corpus)
Writes  WordVectors
"""

from bertkit.cli import run_recipe
from bertkit.stages.word2vec import word2vec

if __name__ == "__main__":
    run_recipe(word2vec)
