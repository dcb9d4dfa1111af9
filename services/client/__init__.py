"""Clients of the platform for Python programs: ``from services.client import ApiGatewayClient``."""

from services.client.clients import ApiGatewayClient, OrbCoreClient, SecurityServiceClient, WidgetCoreClient
from services.client.http import ServiceClient, new_key

__all__ = [
    "ApiGatewayClient",
    "OrbCoreClient",
    "SecurityServiceClient",
    "ServiceClient",
    "WidgetCoreClient",
    "new_key",
]
