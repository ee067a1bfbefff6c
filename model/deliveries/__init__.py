"""The model of deliveries: fan-out, groups, leases, tries, replays. See the docstrings of the store's code."""
