"""Foreign sets in, one prompt set out: formats recognised, verifiers proposed and checked; nothing is sampled."""
