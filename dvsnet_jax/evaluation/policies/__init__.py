"""Policies compared on labelled video: `sweep` runs them, `tables` and `report` show what it found."""
