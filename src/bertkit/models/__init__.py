"""Backbones and heads; the only room that names transformers' model classes."""
