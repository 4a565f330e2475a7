"""What policies of multi-resource allocation are like inside."""
