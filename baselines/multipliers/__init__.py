"""Lagrange multipliers: drawn and shown, held, learned, moved."""
