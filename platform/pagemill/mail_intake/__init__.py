"""Mail that starts executions of workflows: an SMTP server, and what it does with each mail."""
