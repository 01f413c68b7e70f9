"""A dataset for those who use it: rows for SQL and Ray, clips with masks for torch."""
