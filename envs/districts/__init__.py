"""Districts and the data that they are built from."""
