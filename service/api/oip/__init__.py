"""Implements the open inference protocol v2 over REST, with the binary tensor extension."""
