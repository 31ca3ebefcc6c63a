"""A run that takes a moment, for command lines."""

SMALL = ["--population", "16", "--generations", "3", "--set", "life=0.5", "--workers", "1"]
