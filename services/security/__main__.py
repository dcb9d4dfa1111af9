"""Run as `python -m services.security`."""

from services.security.main import main

main()
