"""Rows made from products: what an export writes, a map turns and an expansion multiplies."""
