"""Room: dock."""
