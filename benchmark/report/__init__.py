"""Reports, publication, reproduction and tracking of suites."""
