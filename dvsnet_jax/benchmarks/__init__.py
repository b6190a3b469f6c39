"""How fast and how large: what `eval/speed.py`, `eval/portability.py` and their like measure."""
