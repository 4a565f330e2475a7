"""Cost, speed and scale."""
