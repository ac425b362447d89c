"""Pages on which people sign in: plain HTML by Jinja, one style sheet, no script."""
