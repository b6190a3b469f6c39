"""Labels in forms for those who build on them: a video of ids, run lengths, regions as arrays."""
