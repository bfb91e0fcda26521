"""``python -m tests.crash --seconds 300 --seed 1``; see docs/reliability.md."""

import sys

from tests.crash.run import main

sys.exit(main())
