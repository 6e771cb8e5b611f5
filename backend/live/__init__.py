"""A page that shows a run while it lasts, in any browser and on any system."""
