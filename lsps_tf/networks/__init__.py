"""Networks of the appendix (tables 2 to 4)."""
