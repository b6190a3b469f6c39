"""Weights from other programs: TensorFlow and PyTorch files, as parameters of ours."""
