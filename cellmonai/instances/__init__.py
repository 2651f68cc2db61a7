"""From a foreground to a label image: threshold, morphology, splitting, filters."""
