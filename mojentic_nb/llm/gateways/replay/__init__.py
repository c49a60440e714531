"""Answers recorded in a file and played back."""
