"""Run as `python -m services.widget_core`."""

from services.widget_core.main import main

main()
