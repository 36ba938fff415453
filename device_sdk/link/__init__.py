"""The edge to the broker: its port, and paho."""
