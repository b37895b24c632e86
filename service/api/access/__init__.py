"""Decides who may do what, before any work is done for them."""
