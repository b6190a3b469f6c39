"""What is in a video file, and how it is meant to be seen: which stream, which way up, colours, fields, times."""
