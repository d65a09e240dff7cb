"""`python -m jensen` is the command `jensen`."""

from jensen.cli import main

if __name__ == "__main__":
    main()
