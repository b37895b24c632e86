"""Measures one row in plain floats, because numpy's calls cost more than one row's arithmetic."""
