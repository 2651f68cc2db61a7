"""The command line: one file per command; options in, one workflow call, rendering out."""
