"""Programs of the distribution that stand between an agent and its server: each in a folder of its own, on loopback."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from urllib.parse import quote

from child import quiet_port

IS_ROOT = os.geteuid() == 0
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]


def workable(folder, user=None):
    """Lets others into a folder of root's, and that user work there."""
    if IS_ROOT:
        folder.chmod(0o755)
        if user is not None:
            shutil.chown(folder, user)


class Daemon:
    """Runs in the foreground as our child, until `close`. A subclass says how it is called and what it reads."""

    program = ""

    def __init__(self, work, **settings):
        self.work = work / self.program
        self.work.mkdir()
        self.port = quiet_port()
        self.settings = settings
        self.write()
        self.process = None
        self.start()

    @classmethod
    def lacking(cls):
        return None if shutil.which(cls.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") else f"no {cls.program}"

    def path(self):
        return shutil.which(self.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")

    def write(self):
        """The configuration, into `self.work`."""
        self.file("conf").write_text(self.configuration(), encoding="utf-8")

    def file(self, name):
        return self.work / name

    def start(self):
        with open(self.file("output"), "ab") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.work)
        end = time.monotonic() + 20
        while not self.is_listening():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self.program} does not listen: {self.process.poll()}\n{self.told()}")
            time.sleep(0.02)  # there is nothing else to wait for

    def is_listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def told(self):
        """The last lines of all its logs."""
        logs = [path for path in self.work.iterdir() if path.is_file() and path.name != "conf"]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)

    def close(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Nginx(Daemon):
    """In front of an upstream. Settings: `upstream` (its address), `trust` (with it, TLS), `wants_certificate`, `location` (text of
    it), `limit` (of a body). It listens at `socket`, too."""

    program = "nginx"

    @property
    def socket(self):
        return self.file("socket")

    def command(self):
        return [self.path(), "-p", self.work, "-c", self.file("conf"), "-e", self.file("error.log"), "-g", "daemon off;"]

    def configuration(self):
        settings = {"location": None, "trust": None, "wants_certificate": False, "limit": "1m", **self.settings}
        trust = settings["trust"]
        tls = "" if trust is None else f"""
            ssl_certificate {trust}/server.pem;
            ssl_certificate_key {trust}/server.key;
            ssl_client_certificate {trust}/ca.pem;
            ssl_verify_client {"on" if settings["wants_certificate"] else "off"};"""
        location = settings["location"] or f"""
                proxy_pass http://{settings["upstream"]};
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $upstream_connection;
                proxy_set_header X-Client-Name $ssl_client_s_dn;"""
        temporary = "\n".join(f"        {kind}_temp_path {self.work}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""
    {"user root;" if IS_ROOT else ""}
    pid {self.work}/pid;
    worker_processes 1;
    worker_shutdown_timeout 300ms;
    events {{ worker_connections 64; }}
    http {{
        access_log {self.work}/access.log;
{temporary}
        client_max_body_size {settings["limit"]};
        map $http_upgrade $upstream_connection {{ default upgrade; "" ""; }}
        server {{
            listen 127.0.0.1:{self.port}{" ssl" if trust is not None else ""};
            listen unix:{self.socket};{tls}
            location = /moved {{ return 308 /v1/opamp; }}
            location / {{{location}
            }}
        }}
    }}
"""

    def reload(self, **settings):
        """Reads its configuration again, changed by these; the old workers finish."""
        self.settings.update(settings)
        self.write()
        self.process.send_signal(signal.SIGHUP)


class Squid(Daemon):
    """A http proxy that lets in one user. Setting: `login`, (user, password)."""

    program = "squid"

    def command(self):
        return [self.path(), "-N", "-f", self.file("conf")]

    def write(self):
        user, password = self.settings["login"]
        helper = self.file("login")
        # squid asks with what is percent-encoded
        helper.write_text(f"""#!/bin/sh
while read -r user password; do
    if [ "$user $password" = "{user} {quote(password)}" ]; then echo OK; else echo ERR; fi
done
""")
        helper.chmod(0o755)
        workable(self.work, "proxy")
        workable(self.work.parent)
        super().write()

    def configuration(self):
        return f"""
http_port 127.0.0.1:{self.port}
pid_filename {self.work}/pid
cache_log {self.work}/cache.log
access_log stdio:{self.work}/access.log
coredump_dir {self.work}
netdb_filename none
pinger_enable off
memory_cache_shared off
cache deny all
shutdown_lifetime 0 seconds
auth_param basic program {self.work}/login
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
"""

    def carried(self):
        """What it did, a line each."""
        return self.file("access.log").read_text().splitlines() if self.file("access.log").exists() else []


class Dante(Daemon):
    """A SOCKS proxy. Its users are the system's: to have one of our own it sees a passwd of ours, in a namespace of its mounts."""

    program = "danted"

    def command(self):
        own = f"mount --bind {self.work}/passwd /etc/passwd && mount --bind {self.work}/shadow /etc/shadow"
        return [*NAMESPACE, "sh", "-c", f"{own} && exec {self.path()} -f conf -p pid"]

    @classmethod
    def lacking(cls):
        if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0:
            return "no namespace, in which danted could have a user of ours"
        return super().lacking()

    def write(self):
        user, password = self.settings["login"]
        hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True).stdout
        passwd = pathlib.Path("/etc/passwd").read_text(encoding="utf-8") + f"{user}:x:65000:65534::/nonexistent:/bin/false\n"
        self.file("passwd").write_text(passwd, encoding="utf-8")
        self.file("shadow").write_text(f"{user}:{hashed.strip()}:19000:0:99999:7:::\n", encoding="utf-8")
        super().write()

    def configuration(self):
        return f"""
logoutput: {self.work}/log
internal: 127.0.0.1 port = {self.port}
external: 127.0.0.1
clientmethod: none
socksmethod: username
user.privileged: root
user.unprivileged: root
client pass {{
    from: 127.0.0.0/8 to: 0.0.0.0/0
}}
socks pass {{
    from: 127.0.0.0/8 to: 127.0.0.0/8
    command: connect
    log: connect
}}
"""

    def carried(self):
        return [line for line in self.file("log").read_text().splitlines() if "pass" in line and "connect" in line]
