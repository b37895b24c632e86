"""Speaks HTTP, and does nothing else: it reads requests, and writes answers and problems."""
