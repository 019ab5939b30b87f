"""The web page of a served model: its figures, tables that are dropped on the page, and a panel for single rows."""
