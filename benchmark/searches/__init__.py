"""The searches for settings that come with Accord, one YAML file each, named after the suite that it is for."""
