"""`python -m cellmonai`."""

from cellmonai.cli.start import main

if __name__ == "__main__":
    main()
