"""What a run is doing, as a page in the browser."""
