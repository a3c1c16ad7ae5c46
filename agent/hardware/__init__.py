"""The seam to real parts: one small Protocol per part, and the real, Linux and simulated parts behind them."""
