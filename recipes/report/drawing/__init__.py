"""Charts, pictures and places, as the pages of the report, the viewer and the benchmarks show them."""
