"""How fast and how right the verifiers are: figures out, nothing judged for keeps."""
