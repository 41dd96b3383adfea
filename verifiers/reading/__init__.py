"""A final text in, the piece that is the answer out: lines, quantities, units, boxes; it compares nothing."""
