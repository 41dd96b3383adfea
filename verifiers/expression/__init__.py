"""Mathematical answers: an allow-list parser, exact and numeric evaluation, and equality of answers.

Nothing here evaluates text: notation -> tokens -> tree of the node types in `node.py` -> values and comparisons.
"""
