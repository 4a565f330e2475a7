"""Figures of a suite."""
