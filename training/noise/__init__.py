"""Declares the measurement noise of a training run's columns, and measures it from repeats."""
