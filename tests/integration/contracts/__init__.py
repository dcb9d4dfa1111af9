"""What clients of version 1 were promised, as it was recorded: exchanges and OpenAPI documents."""
