"""Suites of runs, one YAML each."""
