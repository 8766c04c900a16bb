"""Predictions to numbers: metrics, intervals, comparisons."""
