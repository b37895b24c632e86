"""Compares methods on five-level reviews as ordered levels, from pooled word vectors and a sentence encoder."""
