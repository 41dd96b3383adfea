"""A verifier in, its faults out: conformance, hostile answers, mutations, fuzzing; for authors, not for runs."""
