"""pytest fixtures for a MySQL or MariaDB server that the executable `blink` starts.

`mysql_proc` is the server, one for each session (each worker of pytest-xdist has its own); `mysql` is a connection to it,
whose database is empty at the beginning of every test. The names are pytest-mysql's. All the work is the executable's.
"""

import json
import subprocess
from types import SimpleNamespace

import pytest

OPTIONS = {
    "mysql_blink": ("the executable", "blink"),
    "mysql_release": ("a tarball, a directory or a version such as 8.4; empty: what was unpacked last", ""),
    "mysql_init": ("an SQL file, or a directory of them, that the database begins with", ""),
    "mysql_seed": ("what 'blink --save' kept, to begin with", ""),
    "mysql_cache": ("where blink keeps releases and seeds", ""),
    "mysql_dbname": ("the database of the fixture mysql", "test"),
}


def pytest_addoption(parser):
    for name, (help, default) in OPTIONS.items():
        parser.addini(name, help=help, default=default)
        parser.addoption("--" + name.replace("_", "-"), dest=name, help=help)


def setting(config, name):
    """What the command line says, else pytest.ini."""
    return config.getoption(name) or config.getini(name)


def words(config):
    """The command that starts the server."""
    command = [setting(config, "mysql_blink"), "--json", "--until-eof"]
    for option in ["init", "seed", "cache"]:
        value = setting(config, f"mysql_{option}")
        if value:
            command += [f"--{option}", value]
    release = setting(config, "mysql_release")
    return command + ([release] if release else [])


def start(command):
    """Starts the server, and waits until it answers. What blink has to say it says on stderr."""
    # Its standard input ends when we do, by whatever, and then so does it.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if not line:
        process.stdin.close()
        raise RuntimeError(f"{command[0]} ended with status {process.wait()}, and told why on stderr")
    return process, json.loads(line)


def stop(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="session")
def mysql_proc(request):
    """The server: `host`, `port`, `unixsocket`, `user`, `password`, `version`, `url`."""
    process, server = start(words(request.config))
    try:
        yield SimpleNamespace(
            host=server["host"],
            port=server["port"],
            unixsocket=server["socket"],
            user=server["user"],
            password=server["password"],
            version=server["server"],
            url=server["url"],
            running=lambda: process.poll() is None,
        )
    finally:
        stop(process)


@pytest.fixture
def mysql(request, mysql_proc):
    """A connection to the server. Its database is made for the test and dropped after it, unless the server began
    with a seed or first-run files: then it is as they left it for the first test."""
    import pymysql

    config = request.config
    name = setting(config, "mysql_dbname")
    filled = setting(config, "mysql_init") or setting(config, "mysql_seed")
    connection = pymysql.connect(
        unix_socket=mysql_proc.unixsocket,
        user=mysql_proc.user,
        password=mysql_proc.password,
        charset="utf8mb4",
    )
    quoted = "`" + name.replace("`", "``") + "`"
    with connection.cursor() as cursor:
        if not filled:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted}")
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {quoted}")
    connection.select_db(name)
    yield connection
    if connection.open:
        connection.close()
    if not filled:
        # With a connection of our own: the test may have done anything to its.
        with pymysql.connect(
            unix_socket=mysql_proc.unixsocket, user=mysql_proc.user, password=mysql_proc.password
        ) as cleaning, cleaning.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted}")
