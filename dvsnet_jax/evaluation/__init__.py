"""What the recipes in `eval/` call."""
