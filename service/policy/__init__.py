"""Decides what becomes of answers: who wants to be told, or asked, and what is better not said."""
