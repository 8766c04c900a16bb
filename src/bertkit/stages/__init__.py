"""Config and typed inputs to an artifact: one module a stage, named as its recipe."""
