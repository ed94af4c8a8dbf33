"""Certificates made by openssl, for a broker of a test."""
import os
import ssl
import subprocess


class Files:
    """A certificate of localhost, which is its own authority, and its key."""

    def __init__(self, folder):
        self.certificate = os.path.join(folder, "localhost.pem")
        self.key = os.path.join(folder, "localhost.key")
        self.authorities = os.path.join(folder, "authorities.pem")
        self.renew(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def renew(self, serial):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-set_serial", str(serial),
             "-out", self.certificate, "-keyout", self.key], check=True, capture_output=True)
        with open(self.certificate) as new, open(self.authorities, "a") as all_of_them:
            all_of_them.write(new.read())

    def context(self):
        """For a client that trusts all there have been."""
        return ssl.create_default_context(cafile=self.authorities)


def serial(connection):
    """Of the certificate that the server has shown."""
    return int(connection.writer.get_extra_info("peercert")["serialNumber"], 16)
