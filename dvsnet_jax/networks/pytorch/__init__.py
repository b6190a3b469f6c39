"""PyTorch modules as segmentation networks, by way of torchax."""
