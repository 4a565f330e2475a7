"""What people type: suites, runs and overrides as typed specs."""
