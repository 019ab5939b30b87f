"""The page of the model that is served: what it says of itself, tables that are dropped, and a panel to ask it."""
