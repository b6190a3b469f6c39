"""Files or cameras in, labels out: one video or many at once, and the frame rate that is kept meanwhile."""
