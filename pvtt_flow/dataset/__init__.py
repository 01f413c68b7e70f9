"""The two tables that runs write and people read: their versions, and all that changes them."""
