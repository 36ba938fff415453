"""Sealed mail for MQTT devices: seal to named readers, hold until read, then gone."""
