"""Endpoints, one file for each noun; generic over worlds."""
