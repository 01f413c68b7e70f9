"""pvtt_flow: a bucket of product videos in, a dataset of masklets out.

Importing the package is cheap; everything heavy is imported where it is used.
"""

__version__ = "0.1.0"
