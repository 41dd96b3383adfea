"""Running a model's program apart from everything else."""
