"""What answers a question without knowing HTTP: versions, engines, loading, predictions, explanations, certificates."""
