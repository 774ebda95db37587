"""The fixtures with a real server, in sessions of their own (`pytester`). Run by scripts/test-wrappers."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture
def session(pytester, request):
    """Runs pytest on a file with this text, with our server."""

    def run(text, *arguments):
        pytester.makepyfile(text)
        names = ["mysql_blink", "mysql_release", "mysql_cache"]
        ours = [f"--{n.replace('_', '-')}={request.config.getoption(n)}" for n in names]
        return pytester.runpytest_subprocess("-p", "pytest_blink_mysql", *ours, *arguments)

    return run


def test_connection_has_an_empty_database_for_each_test(session):
    text = """
        def tables(mysql):
            with mysql.cursor() as cursor:
                cursor.execute("SHOW TABLES")
                return cursor.fetchall()

        def test_one(mysql):
            assert tables(mysql) == ()
            with mysql.cursor() as cursor:
                cursor.execute("CREATE TABLE t (i INT)")
            assert tables(mysql) == (("t",),)

        def test_two(mysql, mysql_proc):
            assert tables(mysql) == ()
            assert mysql_proc.running() and mysql_proc.port and "MySQL" in mysql_proc.version
    """
    session(text).assert_outcomes(passed=2)


def test_first_run_files_are_there(session, pytester):
    sql = pytester.path / "schema.sql"
    sql.write_text("CREATE TABLE t (i INT); INSERT INTO t VALUES (3);")
    text = """
        def test_row(mysql):
            with mysql.cursor() as cursor:
                cursor.execute("SELECT i FROM t")
                assert cursor.fetchone() == (3,)
    """
    session(text, f"--mysql-init={sql}").assert_outcomes(passed=1)


def test_workers_have_servers_of_their_own(session, pytester):
    text = """
        import pathlib, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_port(mysql, mysql_proc, worker_id, number):
            pathlib.Path(f"port-{worker_id}").write_text(str(mysql_proc.port))
    """
    session(text, "-n", "2").assert_outcomes(passed=4)
    ports = [path.read_text() for path in pytester.path.glob("port-*")]
    assert len(set(ports)) == len(ports) == 2


def test_a_missing_release_is_an_error_that_says_so(session):
    result = session("def test_it(mysql): pass", "--mysql-release=/nowhere.tar.gz")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*blink*ended with status 1, and told why on stderr*"])
    result.stdout.fnmatch_lines(["blink: error: cannot read /nowhere.tar.gz"])


def test_a_killed_session_leaves_no_server(pytester, request):
    pytester.makepyfile(
        """
        import pathlib, time

        def test_long(mysql_proc):
            pathlib.Path("socket").write_text(mysql_proc.unixsocket)
            time.sleep(600)
        """
    )
    names = ["mysql_blink", "mysql_release", "mysql_cache"]
    ours = [f"--{n.replace('_', '-')}={request.config.getoption(n)}" for n in names]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "pytest_blink_mysql", *ours],
        cwd=pytester.path,
        stdout=subprocess.DEVNULL,
    )
    path = pytester.path / "socket"
    wait_until(lambda: path.exists() and path.read_text())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not os.path.exists(path.read_text()))


def wait_until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
