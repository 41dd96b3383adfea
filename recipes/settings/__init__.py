"""Recipe files in, a checked recipe out, and every key with its meaning; it starts nothing."""
