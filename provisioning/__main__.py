"""``python -m provisioning`` is ``provision``."""

import sys

from provisioning.cli import main

sys.exit(main())
