"""Measures blink and pytest-mysql with the same server binary, in turn: seconds until the first query, and to the end.
Called by scripts/bench-blink. Usage: measure.py BLINK CACHE RELEASE ROUNDS WHAT"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import MySQLdb

blink, cache, release, rounds, what = sys.argv[1:]
rounds = int(rounds)


def ask(**login):
    with contextlib.closing(MySQLdb.connect(**login)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def start(*options):
    process = subprocess.Popen(
        [blink, "--json", "--until-eof", "--cache", cache, *options, release],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    return process


def login(line):
    server = json.loads(line)
    return {"unix_socket": server["socket"], "user": server["user"], "password": server["password"]}


def stop(process):
    process.stdin.close()
    assert process.wait() == 0


def with_blink(servers=1):
    begin = time.monotonic()
    process = start("-n", str(servers))
    for _ in range(servers):
        ask(**login(process.stdout.readline()))
    first = time.monotonic() - begin
    stop(process)
    return first, time.monotonic() - begin


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_pytest_mysql():
    from pytest_mysql.executor import MySQLExecutor

    base = pathlib.Path(tempfile.mkdtemp(prefix="pm-"))
    programs = pathlib.Path(release) / "bin"
    # It does not say --user to the initialiser, without which a server does not run as root.
    server = base / "mysqld"
    as_root = " --user=root" if os.geteuid() == 0 else ""
    server.write_text(f'#!/bin/sh\nexec "{programs}/mysqld" "$@"{as_root}\n')
    server.chmod(0o755)
    install = pathlib.Path(release) / "scripts/mariadb-install-db"
    begin = time.monotonic()
    executor = MySQLExecutor(
        mysqld_safe=programs / ("mariadbd-safe" if install.exists() else "mysqld_safe"),
        mysqld=server,
        admin_exec=str(programs / ("mariadb-admin" if install.exists() else "mysqladmin")),
        logfile_path=str(base / "log"),
        params=f"--basedir={release} --ledir={programs} --mysqlx=OFF --skip-networking=0"
        if not install.exists()
        else f"--basedir={release} --ledir={programs}",
        base_directory=base,
        user="root",
        host="127.0.0.1",
        port=free_port(),
        install_db=f"{base}/install" if install.exists() else None,
    )
    if install.exists():
        script = base / "install"
        script.write_text(f'#!/bin/sh\nexec "{install}" --basedir="{release}" "$@" >&2\n')
        script.chmod(0o755)
    executor.start()
    ask(unix_socket=executor.unixsocket, user="root")
    first = time.monotonic() - begin
    executor.stop()
    end = time.monotonic() - begin
    shutil.rmtree(base)
    return first, end


def definitions(*options):
    """Seconds that 1,500 statements take that define something."""
    process = start(*options)
    with contextlib.closing(MySQLdb.connect(db="test", **login(process.stdout.readline()))) as connection:
        cursor = connection.cursor()
        begin = time.monotonic()
        for number in range(500):
            cursor.execute(f"CREATE TABLE t{number} (id INT PRIMARY KEY, name VARCHAR(40))")
            cursor.execute(f"ALTER TABLE t{number} ADD INDEX (name)")
            cursor.execute(f"ALTER TABLE t{number} ADD COLUMN more INT")
        seconds = time.monotonic() - begin
    stop(process)
    return seconds


def in_turn(ways):
    """The medians of each way, one after the other in each round."""
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()}


if what == "rival":
    medians = in_turn({"blink": with_blink, "pytest-mysql": with_pytest_mysql})
    ours, theirs = medians["blink"], medians["pytest-mysql"]
elif what == "alone":
    ours, theirs = in_turn({"blink": with_blink})["blink"], None
elif what == "eight":
    medians = in_turn({"one": with_blink, "eight": lambda: with_blink(8)})
    ours, theirs = medians["one"], medians["eight"]
else:
    medians = in_turn({"fast": lambda: (definitions(),), "durable": lambda: (definitions("--durable"),)})
    ours, theirs = medians["fast"], medians["durable"]
print(*(f"{value:.3f}" for value in ours + (theirs or [])))
