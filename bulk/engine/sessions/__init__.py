"""Accounts during a run: their keys, their pace, their requests, and what is recorded."""
