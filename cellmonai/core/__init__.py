"""What every stage stands on: errors and exit codes, atomic files, locks, the run record, progress, units."""
