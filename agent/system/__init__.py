"""Room: system."""
