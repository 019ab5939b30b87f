"""Three small tables for a first training, shipped with the package."""
