"""The commands of `chainzrule`, one a module."""
