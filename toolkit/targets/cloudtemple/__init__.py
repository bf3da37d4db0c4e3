"""Intents -> resources of Cloud Temple; what its provider cannot create is ordered by a person."""
