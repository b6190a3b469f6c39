"""Several sources as streams of one frame step, or side by side in threads."""
