"""Prompts in, pairs that ask and show the same out: exact and near, within a set and against others. Changes no set."""
