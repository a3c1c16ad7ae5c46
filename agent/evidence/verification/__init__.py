"""Verification of a device's evidence, as numbered steps over streams; a finding has a stable code and a place."""
