"""Fine-tune a BERT on a task, or train a baseline.

    python recipes/finetune.py --config classify --input data=DIR --input start=DIR --out artifacts/my-model
    accelerate launch --config_file accelerate_config.yaml recipes/finetune.py (the same arguments)

Reads   data (TaskData); start (Checkpoint or any Hugging Face BERT folder), or for a baseline tokenizer (Tokenizer),
        vectors (WordVectors) or neither
Writes  Model
"""

from bertkit.cli import run_recipe
from bertkit.stages.finetune import finetune

if __name__ == "__main__":
    run_recipe(finetune)
