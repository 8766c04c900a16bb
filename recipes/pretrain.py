"""Pretrain BERT with masked LM and next-sentence prediction.

    python recipes/pretrain.py --config tiny --input data=DIR --input tokenizer=DIR --out artifacts/my-bert max_steps=500
    accelerate launch --config_file accelerate_config.yaml recipes/pretrain.py (the same arguments)

Reads   data (PretrainData), tokenizer (Tokenizer), optionally start (Checkpoint or any Hugging Face BERT folder)
Writes  Checkpoint
"""

from bertkit.cli import run_recipe
from bertkit.stages.pretrain import pretrain

if __name__ == "__main__":
    run_recipe(pretrain)
