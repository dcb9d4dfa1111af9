"""What is known of the outside drivers: how they hang, how they fail, what that means.

Each turns its driver's errors into those of `services.resilience.errors` and gives up at
the deadline it is handed.
"""
