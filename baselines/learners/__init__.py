"""Learners on the whole task: central and independent."""
