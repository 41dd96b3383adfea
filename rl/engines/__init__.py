"""The sampler, the trainer and the judge, started on first use, and the weights between them; they know no stage."""
