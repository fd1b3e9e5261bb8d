"""Read sources and write products: folders, the platform and memory."""
