"""A recipe and its data in, everything that would fail later out, with the cure; it trains nothing."""
