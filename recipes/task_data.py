"""Read a labelled task: a known data set or your own files.

    python recipes/task_data.py --config bbc_topic --out artifacts/my-task

Reads   labelled files (see recipes/presets/task_data)
Writes  TaskData
"""

from bertkit.cli import run_recipe
from bertkit.stages.task_data import task_data

if __name__ == "__main__":
    run_recipe(task_data)
