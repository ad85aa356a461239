"""The pure floor: values in, values out. No clock, environment, randomness, I/O or logging."""
