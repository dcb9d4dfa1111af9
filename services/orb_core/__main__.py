"""Run as `python -m services.orb_core`."""

from services.orb_core.main import main

main()
