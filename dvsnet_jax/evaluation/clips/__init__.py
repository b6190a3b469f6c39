"""Labelled clips: where they come from, what is counted of each, and the log of those that are through."""
