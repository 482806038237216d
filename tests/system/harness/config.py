"""Configurations as Python values, written out as the TOML that palier reads."""

import json
from pathlib import Path

from .ports import free_port


def server(name: str, address: str, **keys) -> dict:
    """One server of a pool; `keys` as in the file (weight, role, node, …)."""
    return {"name": name, "address": address, **keys}


def route(pool: str | None = None, **keys) -> dict:
    """One route; without `pool`, give `redirect` or `respond`."""
    return {**({"pool": pool} if pool is not None else {}), **keys}


def site(servers: list[dict], *, pool: dict | None = None, workers: int = 2, **top) -> dict:
    """The usual configuration: one listener on a free loopback port, one pool "web", one route to it.

    `pool` holds further keys of the pool, `top` further keys and tables of the file (timeouts={…}, limits={…},
    log={…}, trusted_proxies=[…], shutdown_grace=…, or another listener=[…], route=[…], pool list as pools=[…]).
    """
    extra_pools = top.pop("pools", [])
    config = {
        "workers": workers,
        "admin": "",
        "shutdown_grace": "1s",
        "listener": [{"name": "http", "address": f"127.0.0.1:{free_port()}"}],
        "pool": [{"name": "web", **(pool or {}), "server": servers}, *extra_pools],
        "route": [route("web")],
    }
    config.update(top)
    return config


def tls_listener(certificates, default: str = "", name: str = "https", **keys) -> dict:
    """A listener with TLS on a free loopback port; `certificates` is one path or a list of them. `keys` are further
    ones of [listener.tls]; the listener's own may be added to what this returns."""
    paths = certificates if isinstance(certificates, list) else [certificates]
    tls = {"certificates": [str(path) for path in paths], "default": default,
           **{key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}}
    return {"name": name, "address": f"127.0.0.1:{free_port()}", "tls": tls}


def ports_of(config: dict) -> list[int]:
    """The ports of all listeners, in order."""
    ports = []
    for listener in config.get("listener", []):
        addresses = listener["address"]
        for address in [addresses] if isinstance(addresses, str) else addresses:
            ports.append(int(address.rsplit(":", 1)[1]))
    return ports


def to_toml(config: dict) -> str:
    """TOML for dictionaries of strings, numbers, booleans, lists, tables and lists of tables."""
    lines: list[str] = []
    _write_table(config, "", lines)
    return "\n".join(lines) + "\n"


def _is_table_list(value) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _write_table(table: dict, prefix: str, lines: list[str]) -> None:
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_table_list(value):
            lines.append(f"{key} = {_value(value)}")
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{prefix}{key}]"]
            _write_table(value, f"{prefix}{key}.", lines)
        elif _is_table_list(value):
            for item in value:
                lines += ["", f"[[{prefix}{key}]]"]
                _write_table(item, f"{prefix}{key}.", lines)


def _value(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)
