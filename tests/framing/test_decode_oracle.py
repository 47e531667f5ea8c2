"""salut_decode() and Python's strict decoder say the same about random bytes."""
import os
import pathlib
import random
import shlex
import subprocess
import unittest

PROGRAM = pathlib.Path(os.environ["SALUT_BUILD_DIR"]) / "tests" / "test_decode"
EMULATOR = shlex.split(os.environ.get("SALUT_EMULATOR", ""))
CASES = 10_000

# Bytes at which something changes, and characters at the borders of each length.
TELLING = bytes([0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff])
CHARACTERS = "a\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"


def random_bytes(chance):
    """Mostly text with a fault or two; sometimes nothing but telling or random bytes."""
    kind = chance.randrange(4)
    if kind == 0:
        return bytes(chance.choices(TELLING, k=chance.randrange(1, 12)))
    if kind == 1:
        return chance.randbytes(chance.randrange(1, 30))
    some = bytearray("".join(chance.choices(CHARACTERS, k=chance.randrange(1, 20))).encode())
    for _ in range(kind - 1):
        at = chance.randrange(len(some))
        some[at:at + chance.randrange(2)] = bytes(chance.choices(TELLING, k=chance.randrange(2)))
        if not some:
            return b"a"
    if chance.randrange(3) == 0:
        some = some[:chance.randrange(1, len(some) + 1)]
    return bytes(some)


def verdict(some):
    """"+" when it is text without a NUL; else where the first fault is seen. Python gives the
    faulty character's beginning and how many bytes of it were good."""
    nul = some.find(0)
    fault = len(some)
    try:
        some.decode()
    except UnicodeDecodeError as error:
        fault = error.start
        if error.reason != "unexpected end of data" and error.reason != "invalid start byte":
            fault = error.end
    if 0 <= nul <= fault:
        return str(nul)
    return "+" if fault == len(some) else str(fault)


class Oracle(unittest.TestCase):
    def test_agrees_about_ten_thousand_random_strings(self):
        chance = random.Random(20240229)
        cases = [random_bytes(chance) for _ in range(CASES)]
        done = subprocess.run([*EMULATOR, str(PROGRAM), "oracle"], text=True, check=True,
                              input="".join(f"{some.hex()}\n" for some in cases),
                              stdout=subprocess.PIPE)
        answers = done.stdout.splitlines()
        self.assertEqual(len(answers), CASES)
        for some, answer in zip(cases, answers):
            self.assertEqual(answer, verdict(some), some)
        texts = answers.count("+")
        self.assertTrue(CASES / 10 < texts < CASES * 9 / 10, f"{texts} are text")


if __name__ == "__main__":
    unittest.main()
