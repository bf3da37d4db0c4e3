"""Performance as ratios in one run: discovery, planning, start-up."""
