"""The guide: each of its programs compiles without a warning, and each terminal shows what the text
says, peers in Python and all."""
import unittest

from test_tutorial import OfADocument


class TheGuide(OfADocument, unittest.TestCase):
    path = "doc/guide.md"


if __name__ == "__main__":
    unittest.main(verbosity=2)
