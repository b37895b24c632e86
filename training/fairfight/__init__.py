"""The fair fight: ChainzRule and its rivals on the same rows, with the same budget and the same tuning effort."""
