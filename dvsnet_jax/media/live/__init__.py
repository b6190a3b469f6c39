"""Cameras and network streams that go on for ever: the newest frame, connections that come back."""
