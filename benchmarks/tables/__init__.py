"""Compares ChainzRule with what people would use instead on a suite of twenty tables."""
