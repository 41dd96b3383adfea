"""Prompts and a plan in, rollouts out, from vLLM workers that may die; it judges nothing."""
