"""What a ledger shows to those who only look: status, rows, figures of its runs."""
