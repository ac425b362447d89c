"""Tables of month names and currency words, taken from CLDR: ``python -m tools.locale_tables``."""
