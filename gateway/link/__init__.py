"""The broker edge: `port` is what the gateway's verbs see, `paho` is how it is done."""
