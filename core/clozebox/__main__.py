"""``python -m clozebox``."""

from clozebox.cli import main

if __name__ == "__main__":
    main()
