"""One run, and many on one machine."""
