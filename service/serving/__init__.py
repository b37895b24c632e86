"""Answers questions without knowing HTTP: versions, engines, loading, predictions, explanations, certificates."""
