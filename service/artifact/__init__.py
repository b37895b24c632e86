"""Defines the artifact, which is a model version on disk and the contract between training and the service."""
