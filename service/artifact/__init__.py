"""The artifact contract: what a model version on disk consists of. The only thing training and service share."""
