"""Software of a body-worn enforcement recorder and of its docking station."""

__version__ = "0.1.0"
