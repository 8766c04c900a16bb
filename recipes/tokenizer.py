"""Learn a WordPiece vocabulary from a corpus.

    python recipes/tokenizer.py --config english --input corpus=DIR --out artifacts/my-tokenizer vocab_size=8000

Reads   corpus (Corpus)
Writes  Tokenizer
"""

from bertkit.cli import run_recipe
from bertkit.stages.tokenizer import tokenizer

if __name__ == "__main__":
    run_recipe(tokenizer)
