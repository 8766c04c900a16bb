"""Tokenize a corpus once into the token store.

    python recipes/pretrain_data.py --input corpus=DIR --input tokenizer=DIR --out artifacts/my-store

Reads   corpus (Corpus), tokenizer (Tokenizer)
Writes  PretrainData
"""

from bertkit.cli import run_recipe
from bertkit.stages.pretrain_data import pretrain_data

if __name__ == "__main__":
    run_recipe(pretrain_data)
