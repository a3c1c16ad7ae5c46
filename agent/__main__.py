"""``python -m agent`` is ``recorder``."""

import sys

from agent.cli import main

sys.exit(main())
