"""The service's name and description, and the resources that it requests."""

NAME = "infer-with-paddle-paddle"
"""The service's name on the platform, as its users know it."""
DESCRIPTION = "Measures images and videos with your model: masks and cover, objects and tracks, and a table of the survey."
MEMORY, CPU, DISK = "5Gi", "2", "8Gi"
"""The resources that an order requests from the platform, as Kubernetes quantities."""
