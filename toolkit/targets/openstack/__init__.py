"""Intents -> resources of any OpenStack cloud; what differs between clouds is catalogue data."""
