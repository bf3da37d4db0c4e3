"""Yours: written once, never touched again. Resources of your own go here; import what they refer to."""
