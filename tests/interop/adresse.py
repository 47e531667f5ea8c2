"""Where the course note's two programs talk: at its own address, or where their argument says."""
import socket
import sys


def family_and_address():
    if len(sys.argv) == 1:
        return socket.AF_INET, ("localhost", 63000)
    if sys.argv[1] == "::1":
        return socket.AF_INET6, ("::1", 63000)
    return socket.AF_UNIX, sys.argv[1]
