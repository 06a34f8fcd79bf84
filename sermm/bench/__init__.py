"""What things cost, as ratios to something bare measured in the same run."""
