"""Run the demo: ``python -m examples.demo``."""

from examples.demo.program import main

if __name__ == "__main__":
    main()
