"""`make secrets`: random secrets for docker-compose.yml, each in a file for its owner alone.

Python's own library is enough for it. What is there is never written again: to change a secret,
delete its file, and change it where it counts.
"""

# ruff: noqa: INP001  # a script, and no package
from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from datetime import datetime, timezone
from pathlib import Path

PRIVATE = 0o600
NOBODY = 65534
BROKER_USERS = (
    *("relay", "finance", "finance-federation", "logistics", "logistics-federation"),
    *("customers", "customers-federation"),
)
CONSUMERS = {"finance": "finance", "logistics": "logistics", "notifications": "customers"}
"""The user of each consumer at the broker."""
ADMINISTRATOR = "handrail"
LOGINS = (
    *("api", "worker", "projector", "relay", "notifier", "operator", "lake", "dispatcher"),
    *(f"consumer-{name}" for name in CONSUMERS),
)
"""At PostgreSQL; `handrail database roles` gives them their passwords."""


def password() -> str:
    return secrets.token_hex(24)


def webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def payload_keys() -> str:
    now = datetime.now(timezone.utc)  # noqa: UP017  # also for a Python before 3.11
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    listed = [{"id": f"{now:%Y-%m-%d}-{secrets.token_hex(3)}", "from": now.isoformat(), "key": key}]
    return json.dumps({"keys": listed}, indent=2)


def write(folder: Path, owner: int) -> list[str]:
    """The names of the files that were missing, and are there now."""
    written: list[str] = []

    def secret(name: str, content: str) -> str:
        path = folder / name
        if not path.exists():
            _write(path, content + "\n", owner)
            written.append(name)
        return path.read_text().rstrip("\n")

    _private_folder(folder, owner)
    of_owner = secret("postgres_password", password())
    secret("owner_database_url", f"postgresql://handrail:{of_owner}@postgres:5432/handrail")
    _private_folder(folder / "logins", owner)
    for login in LOGINS:
        name = login.replace("-", "_")
        found = secret(f"logins/{login}", password())
        url = f"postgresql://handrail_{name}:{found}@postgres:5432/handrail"
        secret(f"database_url_{name}", url)
    administrator = secret("broker_password", password())
    login = f"{ADMINISTRATOR}:{administrator}@rabbitmq"
    secret("broker.conf", f"default_user = {ADMINISTRATOR}\ndefault_pass = {administrator}")
    secret("broker_administrator_url", f"amqp://{login}:5672")
    secret("broker_management_url", f"http://{login}:15672")
    logins = secret("broker_passwords", ",".join(f"{one}={password()}" for one in BROKER_USERS))
    passwords = dict(one.split("=", 1) for one in logins.split(","))
    for process, user in {"relay": "relay", **CONSUMERS}.items():
        secret(f"broker_url_{process}", f"amqp://{user}:{passwords[user]}@rabbitmq:5672")
    secret("broker_bindings_url", f"http://relay:{passwords['relay']}@rabbitmq:15672")
    for company in ("bank", "carrier"):
        secret(f"{company}_webhook_secrets", webhook_secret())
    secret("payload_keys.json", payload_keys())
    secret("subject_keys", f"k1 {base64.b64encode(secrets.token_bytes(32)).decode()}")
    secret("codec_tokens", f"operator={password()}")
    return written


def _private_folder(folder: Path, owner: int) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if owner != os.geteuid():
        os.chown(folder, owner, owner)


def write_variables(file: Path, owner: int) -> bool:
    """What Compose itself reads; False where it is there already."""
    if file.exists():
        return False
    lines = {"HANDRAIL_UID": owner, "HANDRAIL_GID": owner, "TEMPORAL_DB_PASSWORD": password()}
    _write(file, "".join(f"{name}={value}\n" for name, value in lines.items()), os.geteuid())
    return True


def _write(path: Path, content: str, owner: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    if owner != os.geteuid():
        os.chown(path, owner, owner)


def main(root: Path) -> None:
    # The containers run as the owner of the files, which is never root.
    owner = os.geteuid() or NOBODY
    written = write(root / "secrets", owner)
    if write_variables(root / ".env", owner):
        written.append(".env")
    said = ", ".join(written) if written else "nothing: everything is there already"
    sys.stdout.write(f"written: {said}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
