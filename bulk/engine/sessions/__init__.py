"""Accounts at work: their keys, their pace, their requests, what is recorded of them."""
