"""Measuring predictions: metrics, tables and figures."""
