"""Reads and writes tables in files, a chunk at a time, so that memory does not grow with them."""
