"""`python -m accord` is the command line."""

from accord.benchmark.cli import main

if __name__ == "__main__":
    main()
