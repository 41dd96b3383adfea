"""Numbers in, inline SVG out; it knows no run."""
