"""LGTC-IPPO and what its actors consist of."""
