"""Gather scores, curves, errors and counts in one page.

    python recipes/report.py --input metrics=DIR --input metrics=DIR --input pretrain=DIR --out artifacts/my-report

Reads   metrics (Metrics, several), and optionally everything that led to them
Writes  Report
"""

from bertkit.cli import run_recipe
from bertkit.stages.report import report

if __name__ == "__main__":
    run_recipe(report)
