"""What a report says: statistics of rows, papers beside ours, warnings, and all of it as grids."""
