"""AWS estate -> reviewable plan, Pulumi stacks and runbooks for a European cloud."""

__version__ = "0.1.0"
