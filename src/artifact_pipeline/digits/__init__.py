"""The digits: the demonstration, as a data set, and a picture recipe."""
