"""A lab -> the configuration files of its daemons, from the templates in toolkit/lab/etc; only root reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.lab.folder import HOST, Lab, write

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
SWIFT_PORTS = {"account": 6202, "container": 6201, "object": 6200}
COMMON = """\
{% if database %}[database]
connection = {{ database }}
{% endif %}[keystone_authtoken]
www_authenticate_uri = {{ auth_url }}
memcached_servers = {{ host }}:11211
service_token_roles_required = true
{{ auth }}
[oslo_concurrency]
lock_path = {{ folder }}/lock
[oslo_messaging_notifications]
driver = noop"""


def database(lab: Lab, name: str) -> str:
    """SQLAlchemy's address of a database: a Unix socket that only root reaches."""
    return f"mysql+pymysql://root@localhost/{name}?unix_socket={lab.folder}/run/mysql.sock&charset=utf8"


def file(lab: Lab, service: str) -> Path:
    """The configuration file of a service."""
    if service == "barbican":  # it reads its home under uwsgi, whatever else it is told
        return lab.folder / "home/.barbican/barbican.conf"
    return lab.folder / f"etc/{service}/{service}.conf"


def _environment(lab: Lab) -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "etc"), undefined=jinja2.StrictUndefined, autoescape=False,  # noqa: S701 - no markup
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    # no region: a lab has one, and its name changes with the profile
    auth = "\n".join([
        "auth_type = password", f"auth_url = {lab.auth_url}", "username = svc", f"password = {lab.secrets['service']}",
        "project_name = service", "user_domain_id = default", "project_domain_id = default",
    ])  # fmt: skip

    def common(name: str, *, with_database: bool = True) -> str:
        return made.from_string(COMMON).render(
            database=database(lab, name) if with_database else "", folder=lab.folder, auth=auth, auth_url=lab.auth_url, host=HOST,
        )  # fmt: skip

    made.globals.update(
        folder=str(lab.folder), host=HOST, auth=auth, auth_url=lab.auth_url, secret=lab.secrets, services=lab.settings.services,
        port={name: lab.port(name) for name in lab.exposed()}, url={name: lab.url(name) for name in lab.exposed()},
        database=lambda name: database(lab, name), common=common,
        default=f"transport_url = rabbit://lab:{lab.secrets['rabbit']}@{HOST}:5672/\nuse_stderr = true",
    )  # fmt: skip
    return made


def write_all(lab: Lab) -> None:
    """Write every file; what is unchanged stays as it is."""
    made = _environment(lab)

    def fill(template: str, path: Path, **words: Any) -> None:
        write(path, made.get_template(template).render(**words))

    etc = lab.folder / "etc"
    for service in ("keystone", "placement", "glance", "cinder"):
        fill(f"{service}.conf", file(lab, service))
    fill("nova.conf", file(lab, "nova"), reads_database=True)
    fill("nova.conf", etc / "nova/compute.conf", reads_database=False)
    for name, extensions in (
        ("neutron", "qos,port_forwarding"),
        ("bridge", "qos"),
        ("l3", "port_forwarding"),
    ):
        fill("neutron.conf", etc / f"neutron/{name}.conf", extensions=extensions)
    for service in ("octavia", "designate", "barbican", "heat", "manila"):
        if lab.has(service):
            fill(f"{service}.conf", file(lab, service))
    if lab.has("swift"):
        fill("swift.conf", etc / "swift/swift.conf")
        for kind, port in SWIFT_PORTS.items():
            fill("swift-server.conf", etc / f"swift/{kind}-server.conf", kind=kind, bind_port=port)
        if not (etc / "swift/proxy-server.conf").exists():
            swift_proxy(lab, "us-east-1")
    if lab.has("designate"):
        fill("pools.yaml", etc / "designate/pools.yaml")
        for name in ("rndc.key", "rndc.conf", "named.conf"):
            fill(name, etc / "bind" / name)
    if lab.has("octavia"):
        _authority(lab)
    fill("rabbitmq.conf", etc / "rabbitmq.conf")
    for program in (
        HERE / "bin"
    ).iterdir():  # Debian's, with a fault mended: first on the daemons' path
        write(lab.folder / "bin" / program.name, program.read_text(), 0o700)
    _plugins(lab)


def swift_proxy(lab: Lab, signing_region: str) -> bool:
    """Write the proxy's file for a signing region of S3; True where it changed."""
    text = _environment(lab).get_template("swift-proxy.conf").render(signing_region=signing_region)
    return write(lab.folder / "etc/swift/proxy-server.conf", text)


def compute_of_zone(lab: Lab, host: str) -> Path:
    """The file that makes one more nova-compute a host of its own."""
    path = lab.folder / f"etc/nova/compute-{host}.conf"
    write(path, f"[DEFAULT]\nhost = {host}\nstate_path = {lab.folder}/nova/{host}\n")
    (lab.folder / f"nova/{host}/instances").mkdir(parents=True, exist_ok=True)
    return path


def _authority(lab: Lab) -> None:
    """Octavia's certificate authority: it asks for a key that is encrypted, even where nothing is signed."""
    folder = lab.folder / "etc/octavia"
    if (folder / "ca.pem").exists():
        return
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "stdin", "-days", "3650", "-subj", "/CN=lab-octavia",
         "-keyout", folder / "ca.key", "-out", folder / "ca.part"],
        input=f"{lab.secrets['authority']}\n".encode(), check=True, capture_output=True,
    )  # fmt: skip
    (folder / "ca.part").replace(folder / "ca.pem")


def _plugins(lab: Lab) -> None:
    """The drivers that Debian's Python loads, as an installed distribution with its entry point."""
    folder = lab.folder / "plugins"
    (folder / "lab_plugins-1.0.dist-info").mkdir(parents=True, exist_ok=True)
    for source in (HERE / "plugins").glob("lab_*.py"):
        shutil.copyfile(source, folder / source.name)
    info = folder / "lab_plugins-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[octavia.network.drivers]\nlab_network_driver = lab_octavia:LabNetworkDriver\n"
    )
