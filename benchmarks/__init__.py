"""Measurements of the product as it is, on whatever machine runs them. ``python -m benchmarks [name...]``."""
