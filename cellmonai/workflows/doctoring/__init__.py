"""What `doctor` looks at, one file per subject."""
