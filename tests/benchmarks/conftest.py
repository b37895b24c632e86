"""What the tests of benchmarks share with those of training."""

from tests.training.conftest import _one_thread, make_model, text_data

__all__ = ["_one_thread", "make_model", "text_data"]
