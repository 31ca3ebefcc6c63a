"""Worldloom: write one step of one small world; run a million of them with the same bits everywhere."""
