"""A stand-in for whoever wants to be told of calls."""

from simulators.webhook.server import WebhookSimulator

__all__ = ["WebhookSimulator"]
