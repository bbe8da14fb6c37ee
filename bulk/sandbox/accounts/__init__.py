"""Accounts with their keys, rights, rates and faults; where they are read from; temporary keys."""
