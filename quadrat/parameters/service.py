"""What the service is called, and what an order requests of the platform."""

NAME = "infer-with-paddle-paddle"
"""The service's name on the platform, as its users know it."""
DESCRIPTION = "Measures images and videos with your model: masks and cover, objects and tracks, and a table of the survey."
MEMORY, CPU, DISK = "5Gi", "2", "8Gi"
"""What an order requests of the platform, as Kubernetes quantities."""
