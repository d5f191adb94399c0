"""Run the augmentation worker: `python -m skill_tools.workers.augmentation`."""

from skill_tools.workers.augmentation.cli import main

raise SystemExit(main())
