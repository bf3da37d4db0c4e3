"""Engines that do the work at the target: Pulumi makes and unmakes, OpenStack's own SDK looks."""
