"""Reports on the service itself, with metrics and logs."""
