"""An outside package."""
