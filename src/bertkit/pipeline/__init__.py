"""YAML schema, graph, runner."""
