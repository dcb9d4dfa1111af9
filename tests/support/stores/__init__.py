"""Small stores, sound and with one planted defect each, under clients that overlap."""
