"""The course note's server, as it stands there but for an address that may be another's:
    serveur.py [::1 | PATH]
"""
import socket

from adresse import family_and_address

famille, adresse_serveur = family_and_address()
serveur = socket.socket(famille, socket.SOCK_STREAM)
serveur.bind(adresse_serveur)
serveur.listen(1)
print("Serveur en attente...")
client, adresse = serveur.accept()
print("Connexion de", adresse)
donnees = client.recv(1024)
print("Message recu:", donnees.decode())
client.close()
serveur.close()
