"""What the columns of the object table are made of, strip by strip."""
