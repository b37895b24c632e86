"""Which answers to withhold when inputs are noisy, so that fewer of the others are wrong."""
