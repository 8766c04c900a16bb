"""bertkit: from raw text to a published, evaluated BERT."""

__version__ = "0.1.0"
