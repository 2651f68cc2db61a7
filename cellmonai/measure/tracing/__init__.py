"""Objects as polygons along pixel edges."""
