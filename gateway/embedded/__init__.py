"""The inside of the embedded broker; `gateway.embedded_broker` is its door.

`packets` turns bytes into MQTT 3.1.1 packets and back, strictly. `connection` is one socket.
`session` is what a client is owed. `retained` keeps the messages published with RETAIN.
`hub` admits clients and carries messages between them. `limits` bounds all of it.
"""
