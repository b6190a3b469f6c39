"""Motion from frame to frame, from outside the networks: a codec's vectors, an encoder's, dense inverse search."""
