"""Real servers for tests: started on free loopback ports, stopped and removed afterwards.

Each module here holds one server. What they share: `required` decides between skip and failure
when a program is absent, `ports` finds a port, `process` starts and ends it, `waiting` waits.
"""
