"""What runs leave, and where it lies."""
