"""plan.json and the target as it is -> what agrees, what differs, what nobody planned; without Pulumi and its state."""
