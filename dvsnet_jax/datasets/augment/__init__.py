"""Random changes of training samples. Everything random comes from the generator that is given."""
