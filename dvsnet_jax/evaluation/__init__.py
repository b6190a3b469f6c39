"""What `dvsnet evaluate`, `dvsnet policies` and `dvsnet measure` call."""
