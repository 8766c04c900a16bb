"""Files and data sets to raw documents, one at a time: one module a format."""
