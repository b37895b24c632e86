"""ChainzRule networks: polynomial layers whose derivatives are part of the forward pass."""
