"""The experiments of the paper as cells, each a JSON of figures, and the tables that are made from these."""
