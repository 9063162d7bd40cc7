"""`python -m carelane` is the command line."""

from carelane.cli import main

if __name__ == "__main__":
    main()
