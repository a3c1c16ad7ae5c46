"""The witness: remembers how far each ledger was, and cosigns only what continues that."""
