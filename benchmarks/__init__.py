"""Benchmarks: each prints its figures beside goals or named peers."""
