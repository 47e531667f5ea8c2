"""The course note's client, as it stands there but for an address that may be another's:
    client.py [::1 | PATH]
"""
import socket

from adresse import family_and_address

famille, adresse_serveur = family_and_address()
client = socket.socket(famille, socket.SOCK_STREAM)
client.connect(adresse_serveur)
client.send(b"Salut le serveur !")
client.close()
