"""One file a kind of stage: a policy in, what the stage leaves out; a stage never starts an engine itself."""
