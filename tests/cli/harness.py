"""What the tests of the whole program share: running it, and running the tests.

A test is a function of a Program whose name is the sentence that it checks; it fails by raising. A script calls
main(globals()), and is run as `SCRIPT PROGRAM [PART OF A NAME...]`.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Skip(Exception):
    """This test cannot be run here; says why."""


class Result:
    def __init__(self, words, status, out, err):
        self.words, self.status, self.out, self.err = words, status, out, err

    def __str__(self):
        return f"partita {' '.join(self.words)}\nexit code {self.status}\nstdout: {self.out[:2000]}\nstderr: {self.err[:2000]}"


class Program:
    """The program, run in a folder of its own with the files of the source."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder
        self.environment = dict(os.environ, PARTITA_DATA=SOURCE, LC_ALL="C")

    def file(self, name, text=None):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def start(self, *words, **more):
        return subprocess.Popen([self.path, *words], cwd=self.folder, env=self.environment, **more)

    def run(self, *words, status=0, stdout=None, before=None):
        """Runs it and checks its exit code. Where `stdout` is not given, both outputs are read."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = self.start(*words, stdout=stdout or out, stderr=err, preexec_fn=before)
            try:
                code = process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            out.seek(0), err.seek(0)
            result = Result(words, code, out.read(), err.read())
        check(code == status, f"expected exit code {status}\n{result}")
        return result

    def json(self, *words):
        result = self.run(*words, "--json")
        check(result.err == "", f"stderr is not empty\n{result}")
        return json.loads(result.out)


def check(true, text):
    if not true:
        raise AssertionError(text)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


def near(got, wanted, what, tolerance=1e-9):
    check(abs(got - wanted) <= tolerance * max(abs(got), abs(wanted)), f"{what}: {got!r}, expected {wanted!r}")


def main(names):
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} PROGRAM [PART OF A NAME...]")
    program, parts = os.path.abspath(sys.argv[1]), sys.argv[2:]
    tests = [value for name, value in names.items()
             if callable(value) and getattr(value, "__module__", "") == "__main__" and not name.startswith("_")]
    tests = [test for test in tests if not parts or any(part in test.__name__ for part in parts)]
    failed = skipped = 0
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(Program(program, folder))
            except Skip as reason:
                skipped += 1
                print(f"skipped {test.__name__}: {reason}")
            except Exception as error:
                failed += 1
                where = traceback.extract_tb(error.__traceback__)[1:2]
                print(f"FAILED {test.__name__}, line {where[0].lineno if where else '?'}: {error or type(error)}")
    print(f"{len(tests) - failed - skipped} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not tests else 0)
