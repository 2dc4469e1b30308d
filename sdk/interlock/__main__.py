"""`python -m interlock`: the command line, where `interlock` itself is not on the path."""

from interlock.cli import main

if __name__ == "__main__":
    main()
