"""The settings files of the embedded cluster, as text: pure, written by the launcher."""

from collections.abc import Mapping

ROLE = "stockbridge"
DATABASE = "stockbridge"
_MIB = 1024 * 1024


def server_settings(memory_bytes: int, compression: str, socket_dir: str) -> dict[str, str]:
    """Return our server settings for a machine with `memory_bytes`.

    Every commit is durable: fsync, synchronous_commit and full_page_writes are on.
    """
    buffers_mib = min(2048, max(64, memory_bytes // 8 // _MIB))
    cache_mib = max(256, memory_bytes // 2 // _MIB)
    return {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": f'"{socket_dir}"',
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": f"{buffers_mib}MB",
        "effective_cache_size": f"{cache_mib}MB",
        "maintenance_work_mem": "128MB",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_compression": compression,
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "jit": "off",
        "random_page_cost": "1.1",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_line_prefix": "%m [%p] %a ",
        "log_lock_waits": "on",
    }


def conf_text(settings: Mapping[str, str]) -> str:
    """Return `settings` as the text of a PostgreSQL settings file."""
    lines = ["# Written by Stockbridge at every start; put your own settings in custom.conf."]
    for name, value in settings.items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    return "\n".join(lines) + "\n"


def main_conf_text(initdb_conf: str) -> str:
    """Return initdb's postgresql.conf with our file, then the administrator's, read last."""
    includes = "include = 'stockbridge.conf'\ninclude_if_exists = 'custom.conf'\n"
    return f"{initdb_conf.rstrip()}\n\n{includes}"


def access_texts(client: str) -> dict[str, str]:
    """Return pg_hba.conf and pg_ident.conf: only the OS user `client` may connect, as ROLE.

    The kernel vouches for the user at the other end of the socket, so there is no password to
    keep, and other users of the machine are refused even if they could reach the socket.
    """
    head = "# Written by Stockbridge at every start.\n"
    quoted = client.replace('"', '""')
    return {
        "pg_hba.conf": f"{head}local all {ROLE} peer map=stockbridge\n",
        "pg_ident.conf": f'{head}stockbridge "{quoted}" {ROLE}\n',
    }
