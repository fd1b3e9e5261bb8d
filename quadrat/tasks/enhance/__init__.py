"""Enhancement: frames -> pictures for people to look at, by steps or by a network."""
