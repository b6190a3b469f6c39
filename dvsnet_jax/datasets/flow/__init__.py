"""Pairs of pictures with optical flow: true, made of flying pieces, or found by dense inverse search."""
