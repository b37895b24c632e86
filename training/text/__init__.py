"""Texts as rows: readers of labelled texts, word vectors, encoders that make numbers of a text, and a cache of them."""
