"""Penalties that DREG and its relatives add to the loss: terms of the network's own derivatives."""
