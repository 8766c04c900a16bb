"""Rows of the tables people keep labelled data in (CSV, TSV, JSON lines, parquet), each with its place in the file."""
