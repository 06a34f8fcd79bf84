"""Floor 4: tables, statistics, figures and HTML, from run folders only."""
