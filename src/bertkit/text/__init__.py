"""Strings to units: cleaning, sentences, words, WordPiece."""
