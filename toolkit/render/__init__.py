"""plan.json -> what people review and run; pure: returns paths and bytes, writes nothing."""
