"""Rows made from products: what an export writes, a map translates and an expansion multiplies."""
