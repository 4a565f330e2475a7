"""PettingZoo both ways, and discrete actions."""
