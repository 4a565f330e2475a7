"""Rollouts, metrics and the audit of locality."""
