"""Pull and deliver: where artifacts come from and products go."""
