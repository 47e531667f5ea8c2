"""Every call to the system that can be refused is refused once, and every program bears it.

Here, each of a program's calls of a kind fails with the likeliest failure, or the first so many of
them and some of the rest; tests/fail/run --all refuses each with every failure there is.
"""
import os
import re
import subprocess
import sys
import unittest

import failures
from programs import EMULATOR, FLAGS, SLOW, SOURCE, have_port

# Of one kind, in one program. All of them where a run takes milliseconds; where it takes a second,
# under an emulator, only a few programs are run.
REFUSED_MAX = 1 if EMULATOR else 8 if SLOW else 40
SUBJECTS_MAX = 3 if EMULATOR else None

# tests/fiber/test_threads.c takes all keys away: the library then goes on, and what a thread had is
# lost with it.
REFUSED_ELSEWHERE = {"pthread_key_create", "pthread_setspecific"}

# What the library calls and can't be refused: the manual knows no failure that could come from
# how it is called, or the C library has no way to fail in it. Contexts are the portable switch's.
NEVER_REFUSED = set("""
    abort bcmp clock_gettime dladdr exit ferror fflush fprintf fputc fwrite free freeaddrinfo getenv
    getcontext getpid if_indextoname inet_ntop makecontext memchr memcpy memmove memset memcmp munmap
    pthread_cond_destroy pthread_cond_init pthread_cond_signal pthread_cond_wait pthread_detach
    pthread_getspecific pthread_join pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock
    pthread_mutex_trylock pthread_mutex_unlock pthread_once pthread_self pthread_sigmask raise
    sem_init sem_post sem_wait sigaction sigfillset signal snprintf sqrt stpcpy strcasecmp strcat
    strchr strcmp strcspn strerrordesc_np strerrorname_np strlen strncat strncmp strncpy strnlen
    strrchr strspn strtol strtoll strtoull swapcontext sysconf timerfd_settime vsnprintf write
    """.split())


def undefined_symbols():
    """What the library takes from elsewhere."""
    archive = failures.BUILD / "libsalut.a"
    listed = subprocess.run([os.environ.get("SALUT_NM", "nm"), "-u", archive],
                            capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\s+U (\w+)", listed, re.MULTILINE))


class TheCalls(unittest.TestCase):
    @unittest.skipIf(FLAGS, "the compiler adds calls of its own")
    def test_of_the_library_are_all_known(self):
        known = set(failures.NAMES) | NEVER_REFUSED | REFUSED_ELSEWHERE
        strangers = {name for name in undefined_symbols() - known if not name.startswith("_")}
        self.assertEqual(strangers - {"stdout", "stderr", "program_invocation_short_name"}, set())

    def test_are_found_by_name(self):
        wrong = failures.Subject("wrong", "scenarios", "text").run("brew:1:ECOFFEE")
        self.assertEqual((wrong.status, wrong.stderr), (2, "SALUT_FAIL=brew:1:ECOFFEE makes no "
                                                           "sense\n"))


class TheJudge(unittest.TestCase):
    """What would be a finding is one."""

    subject = failures.Subject("text", "scenarios", "text")

    def fault(self, status=0, stdout="", stderr="", sockets=0, left=()):
        outcome = failures.Outcome(status, stdout, stderr, None, list(left), b"")
        outcome.sockets = sockets
        undisturbed = failures.Outcome(0, "one\n", "", None, [], b"")
        return failures.fault(undisturbed, outcome, "malloc", "ENOMEM")

    def test_lets_pass_what_is_right(self):
        self.assertIsNone(self.fault(stdout="one\n"))
        self.assertIsNone(self.fault(1, stderr="text: decode: Cannot allocate memory\n"))

    def test_sees_what_is_wrong(self):
        said = "text: decode: Cannot allocate memory\n"
        self.assertIn("hangs", self.fault("hangs"))
        self.assertIn("SIGSEGV", self.fault(-11))
        self.assertIn("status 3", self.fault(3, stderr=said))
        self.assertIn("sanitizer", self.fault(1, stderr=f"{said}ERROR: LeakSanitizer: leaks\n"))
        self.assertIn("doesn't say why", self.fault(1))
        self.assertIn("doesn't name", self.fault(1, stderr="text: something\n"))
        self.assertIn("said something else", self.fault(1, stdout="two\n", stderr=said))
        self.assertIn("did something else", self.fault(stdout="two\n"))
        self.assertIn("another complaint", self.fault(stdout="one\n", stderr="hm\n"))
        self.assertIn("sockets open", self.fault(stdout="one\n", sockets=1))
        self.assertIn("leaves", self.fault(stdout="one\n", left=["door"]))


class TheJudgeOfTests(unittest.TestCase):
    """Before a test has failed, a fault is the library's."""

    assertion = f"test_accept: {SOURCE}/src/engine/epoll.c:440: pend: Assertion `!*place' failed.\n"
    report = "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x6\n" \
             "    #0 0x1 in memcpy (/build/test_accept+0x1)\n    #1 0x2 in input_fill {}:9:1\n"
    failed = "[   LINE   ] --- test_accept.c:9: error: Failure!\n"

    def test_knows_the_librarys_from_others(self):
        own, tests = self.report.format(SOURCE / "src/a.c"), self.report.format(SOURCE / "tests/a.c")
        self.assertIn("!*place", failures.own_fault(self.assertion))
        self.assertIn("input_fill", failures.own_fault(own))
        for text in tests, self.failed + self.assertion, self.failed + own, "all is well":
            self.assertIsNone(failures.own_fault(text))


class EveryProgram(unittest.TestCase):
    def test_bears_each_failure(self):
        have_port(63000, self)  # the greeting programs'
        subjects = failures.subjects()[:SUBJECTS_MAX]
        refused, findings = failures.refuse_all(subjects, REFUSED_MAX, every=False)
        print(f"{refused} calls failed, one a run", file=sys.stderr)
        if findings:
            self.fail("\n" + "\n".join(finding.text for finding in findings))
        self.assertGreater(refused, 30 if EMULATOR else 500)


if __name__ == "__main__":
    unittest.main()
