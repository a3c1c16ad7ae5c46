"""The station: intake that verifies before it accepts, write-once archive, catalogue, witness, console."""
