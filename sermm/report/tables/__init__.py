"""Which figures stand where: rows, comparisons, the tables of papers."""
