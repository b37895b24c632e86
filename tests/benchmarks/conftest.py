"""What the tests of benchmarks share with those of training."""

from tests.training.conftest import _one_thread, text_data

__all__ = ["_one_thread", "text_data"]
