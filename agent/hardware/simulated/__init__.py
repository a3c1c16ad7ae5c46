"""The same parts for any computer: scripted, shipped with the product, and stamped as simulated wherever they serve."""
