"""Instruction constraints: pure checks of one text, after IFEval (Zhou et al. 2023, arXiv 2311.07911)."""
