"""Odd certificates and keys, made by openssl: in which words they are refused, and what is taken."""
import shutil
import tempfile
import unittest
from pathlib import Path

from binding import LIB, Client, call
from openssl import CA, LEAF, Shower, Workshop
from stage import NEVER, QUICK, Stage

LONGEST = 400


@unittest.skipUnless(shutil.which("openssl"), "openssl's command line is not here")
class Certificates(Stage):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.shop = Workshop(folder.name)

    def client_of(self, server, ca=None):
        client = Client(server.endpoint, options=QUICK)
        self.addCleanup(lambda: client.handle and client.unref())
        if ca:
            call(LIB.client_set_ca_file, client.handle, ca.encode())
        else:
            call(LIB.client_set_insecure_skip_verify, client.handle, 1)
        return client

    def refusal(self, chain, key, ca):
        with Shower(chain, self.shop.path(key)) as server:
            agent = self.agent(self.client_of(server, ca), NEVER).start()
            error = agent.wait("connect_failed").error
            agent.stop()
        self.assertEqual("tls", error["kind"])
        self.assertEqual([], server.heard)
        text = error["text"]
        # Nothing of a data structure: no brace, no name of a type.
        self.assertLess(len(text), LONGEST)
        self.assertNotRegex(text, r"[{}\[\]]|Context|Error|[a-z][A-Z][a-z]+\(")
        return text

    def check(self, fact, *, chain=(), ca="ca", **leaf):
        """A leaf of the usual authority, but for what is said here."""
        with self.subTest(fact):
            self.shop.certificate("leaf", **{"issuer": "ca", **leaf})
            text = self.refusal(self.shop.chain("leaf", *chain), "leaf.key", self.shop.path(f"{ca}.pem"))
            self.assertIn(fact, text)

    def test_each_refusal_is_told_in_words(self):
        """[TLS-02] [LOG-10]"""
        shop = self.shop
        shop.certificate("ca", extensions=CA)
        self.check("server certificate is signed with ECDSA with SHA-1, which is not supported", sign=("-sha1",))
        self.check("server certificate is signed with ECDSA with SHA-512, which is not supported", sign=("-sha512",))
        self.check("server certificate has an RSA key of 1024 bits, must be 2048 to 8192", kind="RSA-1024")
        self.check("server certificate is a CA certificate; it must be trusted itself", extensions=f"{CA}\n{LEAF.split(chr(10))[1]}")
        self.check("server certificate has the critical extension 1.2.3.4, which is not supported",
                   extensions=f"{LEAF}\n1.2.3.4=critical,ASN1:UTF8String:x")
        self.check("the critical extension policy constraints (2.5.29.36)",
                   extensions=f"{LEAF}\npolicyConstraints=critical,requireExplicitPolicy:0")
        self.check("wrong usage: expected server authentication, found any purpose (2.5.29.37.0)",
                   extensions=f"{LEAF}\nextendedKeyUsage=anyExtendedKeyUsage")
        self.check("found client authentication, 1.2.3.4", extensions=f"{LEAF}\nextendedKeyUsage=clientAuth,1.2.3.4")
        self.check("expected server authentication, found 1.3.6.1.4.1.99999.1",
                   extensions=f"{LEAF}\nextendedKeyUsage=" + ",".join(f"1.3.6.1.4.1.99999.{n}" for n in range(1, 800)))
        self.check("expected 127.0.0.1, found 127.0.0.1, which stands there as a DNS name and must be an IP address",
                   extensions="subjectAltName=DNS:127.0.0.1")
        self.check("found no subject alternative names", extensions="basicConstraints=CA:FALSE")
        self.check("server certificate has X.509 version 1, must be 3", extensions=None)

    def test_what_is_wrong_with_an_issuer_is_told_of_it(self):
        """[TLS-02] [LOG-10]"""
        shop = self.shop
        for kind, sign, fact in (
            ("RSA-1024", ("-sha256",), "the trusted CA certificate of its issuer has an RSA key of 1024 bits, must be 2048 to 8192"),
            ("RSA", ("-sha1",), "server certificate is signed with SHA-1 with RSA, which is not supported"),
            ("P-521", ("-sha256",), "is signed with ECDSA with SHA-256 by an EC key on the curve P-521, which is not supported"),
            ("secp256k1", ("-sha256",), "by an EC key on the curve secp256k1, which is not supported"),
            ("RSA-PSS", ("-sha256",), "RSASSA-PSS"),
            ("Ed448", (), "is signed with Ed448, which is not supported"),
        ):
            shop.certificate("ca", extensions=CA, kind=kind, sign=() if kind == "Ed448" else ("-sha256",))
            self.check(fact, sign=sign)
        shop.certificate("ca", extensions=f"{CA}\nnameConstraints=critical,permitted;DNS:example.com")
        self.check("server certificate violates the name constraints of its CA")
        shop.certificate("ca", extensions=CA)
        shop.certificate("other", extensions=CA, subject="ca")
        self.check("unknown issuer: the trusted CA certificate of that name has a different key", ca="other")
        shop.certificate("middle", issuer="ca")
        self.check("issued by a certificate that is not a CA certificate", issuer="middle", chain=("middle",))
        shop.certificate("middle", issuer="ca", extensions="basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign")
        self.check("issued by a certificate that is not a CA certificate", issuer="middle", chain=("middle",))
        shop.certificate("middle", issuer="ca", extensions=CA, kind="RSA-1024")
        self.check("a CA certificate sent by the server has an RSA key of 1024 bits", issuer="middle", chain=("middle",))
        shop.certificate("middle", issuer="ca", extensions=CA, sign=("-sha512",))
        self.check("a CA certificate sent by the server is signed with ECDSA with SHA-512", issuer="middle", chain=("middle",))

    def test_no_verification_is_none_at_all(self):
        """[TLS-06]"""
        for kind, extensions, sign in (("P-256", None, ("-sha256",)), ("RSA-1024", LEAF, ("-sha1",)), ("P-521", LEAF, ("-sha512",)),
                                       ("RSA-PSS", LEAF, ("-sha256",)), ("RSA e=3", f"{LEAF}\n1.2.3.4=critical,ASN1:UTF8String:x", ("-sha256",))):
            with self.subTest(kind):
                chain = self.shop.certificate("leaf", kind=kind, extensions=extensions, sign=sign)
                with Shower(chain, self.shop.path("leaf.key")) as server:
                    agent = self.agent(self.client_of(server), NEVER).start()
                    agent.wait("connect_failed").error
                    agent.stop()
                self.assertEqual(b"POST", server.heard[0])

    def test_a_client_certificate_is_the_servers_to_judge(self):
        """[TLS-04] Of version 1, weakly signed, for another use: shown all the same."""
        shop = self.shop
        for extensions, sign in ((None, ("-sha256",)), (LEAF, ("-sha1",)), (CA, ("-sha512",))):
            shop.certificate("own", extensions=extensions, sign=sign)
            client = Client("https://127.0.0.1:1", options=QUICK)
            self.addCleanup(client.unref)
            call(LIB.client_set_client_certificate_files, client.handle, shop.path("own.pem").encode(), shop.path("own.key").encode())

    def test_a_key_that_cannot_be_used_is_told_as_that_key(self):
        """[TLS-04] [LOG-10]"""
        shop, client = self.shop, self.client(ca=None)
        client.set_endpoint("https://127.0.0.1:1")
        for kind, what in (
            ("P-521", "EC key on the curve P-521"),
            ("secp256k1", "EC key on the curve secp256k1"),
            ("RSA e=3", "RSA key of 2048 bits with the exponent 3"),
            ("RSA-1024", "RSA key of 1024 bits"),
            ("RSA-PSS", "key for RSASSA-PSS"),
            ("Ed448", "key for Ed448"),
        ):
            with self.subTest(kind):
                shop.certificate("own", kind=kind, sign=() if kind == "Ed448" else ("-sha256",))
                pair = (shop.path("own.pem").encode(), shop.path("own.key").encode())
                text = self.refused("E_INVALID_ARG", call, LIB.client_set_client_certificate_files, client.handle, *pair)["text"]
                self.assertIn(f"own.key cannot be used: {what}; supported are RSA of 2048 to 4096 bits", text)
        shop.run("ecparam", "-name", "P-256", "-genkey", "-out", "own.key")
        pair = (shop.path("own.pem").encode(), shop.path("own.key").encode())
        self.assertIn("own.key does not match the client certificate in", self.refused(
            "E_INVALID_ARG", call, LIB.client_set_client_certificate_files, client.handle, *pair)["text"])

    def test_other_formats_are_named(self):
        """[TLS-03]"""
        shop, client = self.shop, self.client(ca=None)
        client.set_endpoint("https://127.0.0.1:1")
        shop.certificate("ca", extensions=CA)
        shop.run("x509", "-in", "ca.pem", "-outform", "DER", "-out", "der")
        shop.run("crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-out", "p7.pem")
        shop.run("crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-outform", "DER", "-out", "p7")
        shop.run("pkcs12", "-export", "-in", "ca.pem", "-inkey", "ca.key", "-passout", "pass:x", "-out", "p12")
        shop.run("pkcs8", "-topk8", "-in", "ca.key", "-passout", "pass:x", "-out", "locked.pem")
        shop.run("pkey", "-in", "ca.key", "-outform", "DER", "-out", "key.der")
        Path(shop.path("utf16")).write_text(Path(shop.path("ca.pem")).read_text(encoding="ascii"), encoding="utf-16")
        Path(shop.path("empty")).touch()
        for name, what in (
            ("der", "it is a DER certificate, not PEM"), ("p7", "it is PKCS#7 in DER, not PEM"), ("p12", "it is a PKCS#12 store"),
            ("p7.pem", "it contains PKCS#7 data"), ("key.der", "it is a key in DER"), ("utf16", "it is UTF-16 text"),
            ("empty", "it is empty"), ("ca.key", "it contains a private key"), ("locked.pem", "it contains an encrypted private key"),
            ("ca.csr", "it contains a certificate request"),
        ):
            with self.subTest(name):
                text = self.refused("E_INVALID_ARG", call, LIB.client_set_ca_file, client.handle, shop.path(name).encode())["text"]
                self.assertIn(f"no trusted certificates found; tried the file {shop.path(name)} (configured): {what}", text)

    def test_what_openssl_reads_is_read(self):
        """[TLS-03] Behind a byte order mark, under its other names, with what stands between entries."""
        shop = self.shop
        shop.certificate("ca", extensions=CA)
        leaf = shop.certificate("leaf", issuer="ca")
        pem = Path(shop.path("ca.pem")).read_text(encoding="ascii")
        for name, text in (("mark", "\ufeff" + pem), ("x509", pem.replace(" CERTIFICATE", " X509 CERTIFICATE")),
                           ("trusted", pem.replace(" CERTIFICATE", " TRUSTED CERTIFICATE")), ("notes", f"of ca:\n{pem}\nthe end\n")):
            with self.subTest(name):
                Path(shop.path(name)).write_text(text, encoding="utf-8")
                with Shower(leaf, shop.path("leaf.key")) as server:
                    agent = self.agent(self.client_of(server, shop.path(name)), NEVER).start()
                    agent.wait("connect_failed").error
                    agent.stop()
                self.assertEqual(b"POST", server.heard[0])

    def test_a_damaged_entry_is_refused_with_its_place(self):
        """[TLS-03]"""
        shop, client = self.shop, self.client(ca=None)
        client.set_endpoint("https://127.0.0.1:1")
        shop.certificate("ca", extensions=CA)
        pem = Path(shop.path("ca.pem")).read_text(encoding="ascii")
        Path(shop.path("two")).write_text(pem + pem.replace("\nM", "\n*", 1), encoding="ascii")
        text = self.refused("E_INVALID_ARG", call, LIB.client_set_ca_file, client.handle, shop.path("two").encode())["text"]
        self.assertIn(f"entry 2 (line {len(pem.splitlines()) + 1}) is damaged: it is not valid base64", text)

    def test_what_openssl_says_of_trust_counts(self):
        """[TLS-03]"""
        shop = self.shop
        shop.certificate("ca", extensions=CA)
        leaf = shop.certificate("leaf", issuer="ca")
        shop.run("x509", "-in", "ca.pem", "-addtrust", "serverAuth", "-out", "servers.pem")
        shop.run("x509", "-in", "ca.pem", "-addreject", "serverAuth", "-out", "others.pem")
        with Shower(leaf, shop.path("leaf.key")) as server:
            client = self.client_of(server, shop.path("servers.pem"))
            error = self.refused("E_INVALID_ARG", call, LIB.client_set_ca_file, client.handle, shop.path("others.pem").encode())
            self.assertIn("its certificates are not trusted for server authentication", error["text"])
            agent = self.agent(client, NEVER).start()
            agent.wait("connect_failed").error
            agent.stop()
        self.assertEqual(b"POST", server.heard[0])

    def test_expired_authorities_are_kept_where_they_are_wanted(self):
        """[TLS-03]"""
        shop = self.shop
        shop.certificate("ca", extensions=CA)
        shop.run("x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-days", "-1", "-extfile", "ca.ext", "-out", "ca.pem")
        leaf = shop.certificate("leaf", issuer="ca")
        self.assertIn("the trusted CA certificate of its issuer expired on", self.refusal(leaf, "leaf.key", shop.path("ca.pem")))
        with Shower(leaf, shop.path("leaf.key")) as server:
            client = self.client_of(server, shop.path("ca.pem"))
            call(LIB.client_set_option, client.handle, LIB.constant("OPTION_ACCEPT_EXPIRED_CA"), 1)
            agent = self.agent(client, NEVER).start()
            agent.wait("connect_failed").error
            agent.stop()
        self.assertEqual(b"POST", server.heard[0])


if __name__ == "__main__":
    unittest.main()
