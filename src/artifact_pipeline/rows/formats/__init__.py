"""The formats of tables, a module each."""
