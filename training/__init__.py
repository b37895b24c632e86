"""Trains ChainzRule networks and publishes them as artifacts that the service has already accepted."""
