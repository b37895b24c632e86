"""One row measured in plain floats: numpy's calls cost more than one row's arithmetic."""
