"""What `dvsnet train` and `dvsnet accelerate` call."""
