"""What clients in Python have in common: the runner's commands on standard input, a line each, and
their reports on standard output."""
import sys
import threading

writing = threading.Lock()


def report(*words):
    with writing:
        print(*words, flush=True)


def serve(client):
    """Commands until there are no more: client(name, options) makes one, the others are its methods."""
    clients = {}
    for line in sys.stdin:
        verb, name, *words = line.rstrip("\n").split(" ")
        try:
            if verb == "connect":
                clients[name] = client(name, dict(word.split("=", 1) for word in words))
            else:
                getattr(clients[name], verb)(*words)
        except Exception as error:  # whatever it is, the runner shall know
            report("error", name, repr(error))
