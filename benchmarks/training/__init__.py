"""What a training step costs, with and without derivative penalties, all in one run."""
