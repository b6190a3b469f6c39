"""One look at a device: right, how fast, how soon."""
