"""Benchmarks: one file per figure. Never timed tests."""
