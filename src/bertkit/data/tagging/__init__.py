"""Tagged sentences: their schemes, files, known sets and encoding."""
