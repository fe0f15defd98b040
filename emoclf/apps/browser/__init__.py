"""One HTML file that sees, answers and learns in any browser."""
