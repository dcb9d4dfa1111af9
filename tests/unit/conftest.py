"""What unit tests need."""

from hypothesis import settings

settings.load_profile("ci")  # the same examples every time; --hypothesis-profile=default tries others
