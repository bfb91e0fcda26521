"""``python -m tidegauge_service.cli``: the same as the command ``tidegauge``."""

from tidegauge_service.cli.main import main

if __name__ == "__main__":
    main()
