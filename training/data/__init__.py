"""Data sets: tables, matrices and images, read, checked, described and encoded."""
