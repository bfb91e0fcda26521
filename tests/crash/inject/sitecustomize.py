"""Python imports this first in every worker of the crash harness: it lets the faults in.

The product has no hook for them. What to inject is said by variables ``TIDEGAUGE_TEST_*``.
"""

import os

if "TIDEGAUGE_TEST_CLOCK" in os.environ:
    from tests.crash import injection

    injection.install()
