"""Multi-resource allocation."""
