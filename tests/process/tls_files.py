"""Certificates for the tests, made by openssl in the folder of the test that needs them."""

import ctypes
import os
import subprocess
import time


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def make_ca(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def make_cert(folder, name, ca, san="DNS:localhost,IP:127.0.0.1", serial=None, out=None):
    out = out or name
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{out}.key", "-out", f"{out}.csr")
    with open(os.path.join(folder, f"{out}.ext"), "w") as f:
        f.write(f"subjectAltName={san}\n")
    openssl(folder, "x509", "-req", "-in", f"{out}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days", "2",
            "-set_serial", str(serial or int(time.time() * 1000)), "-extfile", f"{out}.ext", "-out", f"{out}.pem")


def hash_of(password, cost=10):
    """A bcrypt hash by the C library, as htpasswd would make it."""
    crypt = ctypes.CDLL("libcrypt.so.1")
    crypt.crypt.restype = ctypes.c_char_p
    return crypt.crypt(password.encode(), f"$2b${cost:02d}$abcdefghijklmnopqrstuu".encode()).decode()
