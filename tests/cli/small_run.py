"""A run that takes a moment, for command lines."""

SMALL = ["--population", "16", "--generations", "3", "--set", "life=0.5", "--set", "settle_steps=0", "--workers", "1"]
