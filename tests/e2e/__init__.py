"""The whole chain, from an account at AWS to servers at the target and back to nothing."""
