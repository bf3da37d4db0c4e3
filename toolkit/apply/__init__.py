"""The saved plan -> the target, step by step: what was done is in the journal, what a crash left is taken up again."""
