"""Where the `cellmonai` script begins: before anything that takes time to import."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still loading ends it as one sentence too."""
    try:
        from cellmonai.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("error: stopped by Ctrl-C; run the same command again.\n")
        sys.exit(130)
