"""Reads request bodies, within bounds for each request and for all of them together."""
