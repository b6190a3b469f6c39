"""How fast and how large: what `dvsnet measure speed`, `portability` and their like measure."""
