"""Holds the commands of `chainzrule`, one in each module."""
