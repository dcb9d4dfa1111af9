"""What the HTTP services share: settings, logs, problem documents, the door, metrics, serving."""
