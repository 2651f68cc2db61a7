"""`python -m cellmonai`."""

from cellmonai.cli.app import main

if __name__ == "__main__":
    main()
