"""Push a trained folder and its card to the Hugging Face Hub.

    python recipes/publish.py --input model=DIR --input metrics=DIR --out artifacts/my-publication repo=USER/NAME

Reads   model (Model) or checkpoint (Checkpoint), and optionally metrics (Metrics, several) for the card
Writes  Publication
"""

from bertkit.cli import run_recipe
from bertkit.stages.publish import publish

if __name__ == "__main__":
    run_recipe(publish)
