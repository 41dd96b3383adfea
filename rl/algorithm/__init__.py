"""Pure mathematics and what an algorithm asks for: rewards and log-probabilities in, advantages and losses out.

It starts no engine and reads no file.
"""
