"""A drawn street: driving clips with exact labels, exact optical flow and occlusion, from a seed and nothing else."""
