"""Estate, decisions, names and catalogue -> one plan; pure: same input, same bytes."""
