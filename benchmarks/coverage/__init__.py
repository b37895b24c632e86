"""Measures how often sets and intervals hold the truth, and how large they are, beside MAPIE's on the same rows."""
