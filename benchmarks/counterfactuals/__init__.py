"""Compares counterfactuals with DiCE's, by how near, how valid and how quick they are."""
