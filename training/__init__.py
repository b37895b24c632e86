"""Train ChainzRule networks and publish them as artifacts that the service has already accepted."""
