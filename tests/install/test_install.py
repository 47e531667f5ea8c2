"""An installed copy: what lies where, what the libraries show, and programs built against it."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["SALUT_BUILD_DIR"])
SOURCE = pathlib.Path(os.environ["SALUT_SOURCE_DIR"])
EMULATOR = shlex.split(os.environ.get("SALUT_EMULATOR", ""))
KIBIBYTE = 1024


def cached(name):
    """The value that the build was configured with."""
    cache = (BUILD / "CMakeCache.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\w+=(.*)$", cache, re.MULTILINE)
    return found[1] if found else ""


FLAGS = shlex.split(cached("CMAKE_C_FLAGS"))
INSTRUMENTED = any(flag.startswith(("-fsanitize", "--coverage")) for flag in FLAGS)


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **more)
    if done.returncode:
        raise AssertionError(f"{shlex.join(map(str, command))}: status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def public_words():
    """What the headers declare as public."""
    headers = [SOURCE / "include" / "salut.h", *sorted((SOURCE / "include").glob("salut/*.h"))]
    return {word for header in headers
            for word in re.findall(r"^SALUT_PUBLIC [^;(]*?\b(\w+)\(", header.read_text("utf-8"),
                                   re.MULTILINE)}


class AnInstalledCopy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        scratch = pathlib.Path(cls.directory.name)
        run("cmake", "--install", BUILD, "--prefix", scratch / "first")
        cls.scratch = scratch
        cls.prefix = scratch / "moved" # nothing may depend on where it was installed first
        (scratch / "first").rename(cls.prefix)
        cls.libraries = next(cls.prefix.rglob("libsalut.a")).parent
        cls.greeting = f"Salut ! 42 {cached('CMAKE_PROJECT_VERSION')}\n"

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def greet(self, program):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.libraries)}
        self.assertEqual(run(*EMULATOR, program, env=environment), self.greeting)

    def build_with_pkg_config(self, *options):
        environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(self.libraries / "pkgconfig")}
        return shlex.split(run("pkg-config", *options, "--cflags", "--libs", "salut",
                               env=environment))

    def test_has_everything_in_its_place(self):
        documents = self.prefix / "share" / "doc" / "salut"
        expected = [self.prefix / "include" / "salut.h", documents / "LICENSE"]
        expected += [documents / "examples" / path.name for path in SOURCE.glob("examples/*.c")]
        expected += [self.prefix / "share" / "man" / f"man{path.suffix[1:]}" / path.name
                     for path in SOURCE.glob("doc/man/*.[1-8]")]
        if any(SOURCE.glob("src/cli/*.c")):
            expected.append(self.prefix / "bin" / "salut")
        self.assertEqual([path for path in expected if not path.exists()], [])

    def test_command_runs_from_there(self):
        if not any(SOURCE.glob("src/cli/*.c")):
            self.skipTest("this tree has no command")
        said = run(*EMULATOR, self.prefix / "bin" / "salut", "--version")
        self.assertIn(cached("CMAKE_PROJECT_VERSION"), said)

    @unittest.skipUnless(shutil.which("pkg-config"), "pkg-config isn't here")
    def test_builds_a_program_by_pkg_config_with_the_shared_library(self):
        program = self.scratch / "by_pkg_config"
        run(os.environ["SALUT_CC"], *FLAGS, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
            SOURCE / "tests/install/greet.c", *self.build_with_pkg_config(), "-o", program)
        self.greet(program)

    @unittest.skipUnless(shutil.which("pkg-config"), "pkg-config isn't here")
    def test_builds_a_program_by_pkg_config_with_the_static_library(self):
        program = self.scratch / "by_pkg_config_static"
        static = [self.libraries / "libsalut.a" if flag == "-lsalut" else flag
                  for flag in self.build_with_pkg_config("--static")]
        self.assertIn("-lpthread", static)
        run(os.environ["SALUT_CC"], *FLAGS, SOURCE / "tests/install/greet.c", *static,
            "-o", program)
        self.assertEqual(run(*EMULATOR, program), self.greeting)

    def test_builds_programs_by_find_package(self):
        build = self.scratch / "by_find_package"
        run("cmake", "-G", "Ninja", "-S", SOURCE / "tests" / "install", "-B", build,
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_FIND_ROOT_PATH={self.prefix}",
            f"-DCMAKE_C_COMPILER={os.environ['SALUT_CC']}",
            f"-DCMAKE_C_FLAGS={shlex.join(FLAGS)}")
        run("cmake", "--build", build)
        self.greet(build / "greet_shared")
        self.greet(build / "greet_static")

    @unittest.skipIf(INSTRUMENTED, "an instrumented library has symbols of its instruments")
    def test_libraries_show_the_public_words_and_nothing_else(self):
        for library, options in (("libsalut.so", ["--dynamic"]), ("libsalut.a", [])):
            with self.subTest(library=library):
                symbols = run(cached("CMAKE_NM"), "--extern-only", "--defined-only",
                              "--format=posix", *options, self.libraries / library)
                shown = {line.split()[0].split("@")[0] for line in symbols.splitlines()
                         if len(line.split()) > 1 and line.split()[1] != "A"}
                self.assertEqual(shown, public_words())

    def test_shared_library_has_a_version_and_no_executable_stack(self):
        headers = run(cached("CMAKE_READELF"), "-dlW", self.libraries / "libsalut.so")
        self.assertRegex(headers, r"SONAME.*\[libsalut\.so\.0\]")
        self.assertRegex(headers, r"GNU_STACK .* RW ")

    @unittest.skipIf(INSTRUMENTED, "instruments take room")
    def test_shared_library_is_at_most_200_kib(self):
        stripped = self.scratch / "stripped.so"
        run(cached("CMAKE_STRIP"), "-o", stripped, self.libraries / "libsalut.so")
        self.assertLessEqual(stripped.stat().st_size, 200 * KIBIBYTE)


if __name__ == "__main__":
    unittest.main()
