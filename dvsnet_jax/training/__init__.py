"""What the recipes in `train/` call."""
