"""Describes our own routes' bodies for the documentation; requests are checked and answers written by other code."""
