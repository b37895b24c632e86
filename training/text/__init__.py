"""Texts as rows: readers of labelled texts, word vectors, encoders that turn a text into numbers, and their cache."""
