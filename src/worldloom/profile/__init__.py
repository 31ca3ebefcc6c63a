"""Profile: where the time of a request goes, measured on the real service, kept over commits, and compared."""
