"""The broker's cluster: one nats-server configuration per node. MQTT for devices and workers, routes between nodes.

Who a client is comes from its certificate, as at a dock's own broker; so do the routes' servers know each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from agent.dock.broker import MAX_PAYLOAD_BYTES, nats_users
from agent.dock.cluster.presence import worker_topic
from agent.dock.cluster.settings import NodeSettings

MAX_REPLICAS: Final = 3
"""Copies of each message: with three nodes any one may die. More would cost more and save nothing."""


def node_config(
    node: NodeSettings, nodes: Sequence[NodeSettings], dock: str, devices: Iterable[str], agency: str
) -> str:
    """``nats.conf`` of one node. A revoked device is one that is not listed, from the next start or reload on."""
    routes = [f"nats-route://{one.host}:{one.route_port}" for one in nodes if one.name != node.name]
    users = ",\n      ".join(json.dumps(user) for user in _users(dock, devices, agency))
    return f"""\
server_name: {json.dumps(node.name)}
# The NATS port itself is not for us: every user below may come by MQTT only.
listen: "127.0.0.1:-1"
max_payload: {MAX_PAYLOAD_BYTES}
jetstream {{ store_dir: {json.dumps(str(node.store))}, max_mem: 256MB, max_file: {node.store_bytes} }}
cluster {{
  name: {json.dumps(dock)}
  listen: "0.0.0.0:{node.route_port}"
  routes: {json.dumps(routes)}
  tls {{
    {_tls(node)}
    verify: true
  }}
}}
mqtt {{
  port: {node.mqtt_port}
  max_ack_pending: 1024
  stream_replicas: {min(MAX_REPLICAS, len(nodes))}
  # What a connection has not yet had dies with it: the device sends again what is not in the archive.
  consumer_memory_storage: true
  consumer_inactive_threshold: "5m"
  tls {{
    {_tls(node)}
    verify_and_map: true
  }}
}}
accounts {{
  AGENCY {{
    jetstream: enabled
    users: [
      {users}
    ]
  }}
}}
"""


def _tls(node: NodeSettings) -> str:
    files = {"cert_file": "tls.crt", "key_file": "tls.key", "ca_file": "ca.crt"}
    rows = [f"{key}: {json.dumps(str(node.credentials / name))}" for key, name in files.items()]
    return "\n    ".join([*rows, 'min_version: "1.3"'])


def _users(dock: str, devices: Iterable[str], agency: str) -> list[dict[str, object]]:
    """Those of a dock's own broker; the workers, who all are the dock, also hear of each other."""
    users = nats_users(devices, dock, agency)
    presence = worker_topic(dock, "").replace("/", ".")
    for user in users:
        permissions = user["permissions"]
        if str(user["user"]).startswith(f"CN={dock},") and isinstance(permissions, dict):
            permissions["publish"].append(f"{presence}*")
            permissions["subscribe"].append(f"{presence}*")
    return users
