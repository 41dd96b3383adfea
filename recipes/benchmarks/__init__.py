"""How fast Hone is, and what its parts bring: a finished run in, ratios against bare calls out."""
