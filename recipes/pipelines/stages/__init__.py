"""What a pipeline consists of: each stage takes prompts and gives those it keeps, with a reason for every other one."""
