"""Prompts in, rollouts out: vLLM workers, prompt data, curation and rejection sampling."""
