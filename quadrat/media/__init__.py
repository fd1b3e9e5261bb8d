"""Decode pictures, videos and streams to frames, and encode pictures and videos."""
