"""Predict a split with a trained model and score it.

    python recipes/evaluate.py --input model=DIR --input data=DIR --out artifacts/my-scores split=test

Reads   model (Model), data (TaskData)
Writes  Metrics
"""

from bertkit.cli import run_recipe
from bertkit.stages.evaluate import evaluate

if __name__ == "__main__":
    run_recipe(evaluate)
