"""Segmentation networks of the user's own: named on a command line, kept beside the weights trained around them."""
