"""Measures how tight certificates are and what they cost, next to other ways of bounding the same networks."""
