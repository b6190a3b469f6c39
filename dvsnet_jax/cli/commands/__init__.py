"""One module for each subcommand of `dvsnet`: a dataclass of its options with a `run`."""
