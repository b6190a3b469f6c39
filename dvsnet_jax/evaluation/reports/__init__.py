"""Evaluations as one HTML page, with tables, plots and a player."""
