"""Rules, planners and bounds: nothing is learned."""
