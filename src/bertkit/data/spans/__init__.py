"""Questions whose answers are spans of a text: their files, known sets and encoding."""
