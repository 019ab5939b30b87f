"""The digits: the demonstration, as a data set, a picture recipe and a page."""
