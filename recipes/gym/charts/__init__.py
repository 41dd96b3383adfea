"""Exercises that read a figure off something drawn: charts, tables, dials, receipts."""
