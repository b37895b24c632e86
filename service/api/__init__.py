"""HTTP, and nothing else: bodies in, answers and problems out."""
