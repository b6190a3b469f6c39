"""Stage 2 (paper, section 4.1): flow networks from true flow, then jointly with the segmentation network."""
