"""Optima with perfect foresight, by linear programmes."""
