"""Certificates of every odd kind, made by openssl's command line, and a server that shows them."""
import socket
import ssl
import subprocess
import threading
from pathlib import Path

KEYS = {
    "P-256": ("EC", "ec_paramgen_curve:P-256"),
    "P-384": ("EC", "ec_paramgen_curve:P-384"),
    "P-521": ("EC", "ec_paramgen_curve:P-521"),
    "secp256k1": ("EC", "ec_paramgen_curve:secp256k1"),
    "RSA": ("RSA", "rsa_keygen_bits:2048"),
    "RSA-1024": ("RSA", "rsa_keygen_bits:1024"),
    "RSA e=3": ("RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:3"),
    "RSA-PSS": ("RSA-PSS", "rsa_keygen_bits:2048"),
    "Ed25519": ("ED25519",),
    "Ed448": ("ED448",),
}
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign"
LEAF = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost"


class Workshop:
    """Keys and certificates in a folder: NAME.key, NAME.pem."""

    def __init__(self, folder):
        self.folder, self.made = Path(folder), {}

    def path(self, name):
        return str(self.folder / name)

    def run(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"openssl {arguments}: {done.stderr}"

    def key(self, name, kind="P-256"):
        algorithm, *options = KEYS[kind]
        self.run("genpkey", "-algorithm", algorithm, *(part for it in options for part in ("-pkeyopt", it)), "-out", f"{name}.key")

    def certificate(self, name, issuer=None, extensions=LEAF, kind="P-256", subject=None, sign=("-sha256",)):
        """`extensions` None: version 1. `issuer` None: it signs itself."""
        self.key(name, kind)
        self.run("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={subject or name}", "-out", f"{name}.csr")
        by = ("-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial") if issuer else ("-signkey", f"{name}.key")
        more = ()
        if extensions is not None:
            Path(self.path(f"{name}.ext")).write_text(extensions + "\n", encoding="ascii")
            more = ("-extfile", f"{name}.ext")
        self.run("x509", "-req", "-in", f"{name}.csr", *by, "-days", "30", *sign, *more, "-out", f"{name}.pem")
        return self.path(f"{name}.pem")

    def chain(self, *names):
        """One file of several certificates."""
        whole = "".join(Path(self.path(f"{name}.pem")).read_text(encoding="ascii") for name in names)
        path = self.path("-".join(names) + "-chain.pem")
        Path(path).write_text(whole, encoding="ascii")
        return path


class Shower:
    """Shows one certificate to whoever comes, and keeps the first line that it is told."""

    def __init__(self, chain, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.load_cert_chain(chain, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"https://127.0.0.1:{self.listener.getsockname()[1]}/v1/opamp"
        self.heard = []
        self.is_over = False
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        socket.create_connection(self.listener.getsockname()).close()
        self.thread.join()
        self.listener.close()

    def serve(self):
        while not self.is_over:
            peer, _ = self.listener.accept()
            try:
                with self.context.wrap_socket(peer, server_side=True) as stream:
                    self.heard.append(stream.recv(4))
            except OSError:
                pass
            finally:
                peer.close()
