"""The manual pages of section 3: every word is in one, every program in them compiles without a
warning and prints what the page says, every reference leads somewhere."""
import pathlib
import re
import unittest

import documents
from documents import EMULATOR, SOURCE

PAGES = sorted((SOURCE / "doc/man").glob("*.3"))

# What the pages escape in literal text, so that it can be copied from any rendering.
ESCAPES = {r"\e": "\\", r"\-": "-", r"\&": "", r"\(aq": "'", r"\(ga": "`", r"\(ha": "^",
           r"\(ti": "~", r"\('e": "é", r"\(`a": "à"}


def plain(text):
    return re.sub(r"\\(\(..|.)", lambda escape: ESCAPES[escape[0]], text)


def literal_blocks(page):
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", page, re.MULTILINE | re.DOTALL)
    return [plain(block) for block in blocks]


def names_of(page):
    """The names in its NAME section."""
    section = re.search(r"^\.Sh NAME\n(.*?)^\.Sh ", page, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^\.Nm (\S+)", section, re.MULTILINE)


class TheManual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pages = {path.stem: path.read_text(encoding="utf-8") for path in PAGES}
        cls.names = {stem: names_of(page) for stem, page in cls.pages.items()}

    def test_every_word_is_in_the_name_of_one_page(self):
        documented = sorted(name for names in self.names.values() for name in names)
        self.assertEqual(documented, sorted([*documents.public_functions(), "salut"]))

    def test_every_page_is_named_after_its_first_word(self):
        for stem, names in self.names.items():
            self.assertEqual(names[0], stem)

    def test_every_word_is_in_the_synopsis_and_the_program_of_its_page(self):
        for stem, page in self.pages.items():
            synopsis = page.partition(".Sh SYNOPSIS")[2].partition(".Sh DESCRIPTION")[0]
            program = literal_blocks(page)[0]
            for name in self.names[stem]:
                with self.subTest(name):
                    if name != "salut":
                        self.assertRegex(synopsis, rf"\.F[no] {name}\b")
                        self.assertIn(f"{name}(", program)

    def test_every_word_has_the_arguments_of_the_header(self):
        header = documents.public_headers()
        for stem, page in self.pages.items():
            synopsis = page.partition(".Sh SYNOPSIS")[2].partition(".Sh DESCRIPTION")[0]
            synopsis = re.sub(r"\.Fo (\w+)\n((?:\.Fa .*\n)*)\.Fc", lambda long: f".Fn {long[1]} " +
                              " ".join(re.findall(r'".*"', long[2])), synopsis)
            for result, name, arguments in re.findall(r"^\.Ft (.*)\n\.Fn (\w+) ?(.*)$", synopsis,
                                                      re.MULTILINE):
                quoted = re.findall(r'"([^"]*)"', arguments) or [arguments]
                shown = f"{result.strip(chr(34))} {name}({', '.join(quoted)});"
                declared = re.search(rf"^SALUT_PUBLIC ([^;]*?\b{name}\([^;]*\);)", header,
                                     re.MULTILINE)[1]
                declared = re.sub(r"__attribute__\(\(.*\)\)", "", declared)
                with self.subTest(name):
                    self.assertEqual(re.sub(r"\s+", "", shown), re.sub(r"\s+", "", declared))

    def test_every_constant_and_type_is_in_some_page(self):
        header = documents.public_headers()
        header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
        words = set(re.findall(r"\bSALUT_(?:TCP|UDP|UNIX\w*|VERSION)\b", header))
        words |= set(re.findall(r"\bstruct (salut_\w+)", header))
        for name, members in re.findall(r"typedef struct (\w+) \{(.*?)^\}", header,
                                        re.DOTALL | re.MULTILINE):
            if name not in ("salut_addr", "salut_decoder"):  # their insides are nobody's
                words |= set(re.findall(r"\b(\w+);", members))
        self.assertGreater(len(words), 10)
        manual = "\n".join(self.pages.values())
        for word in sorted(words):
            with self.subTest(word):
                self.assertRegex(manual, rf"\b{word}\b")

    def test_every_reference_to_a_word_leads_to_a_page(self):
        known = {name for names in self.names.values() for name in names}
        for stem, page in self.pages.items():
            for name in re.findall(r"^\.Xr (salut_\w+) 3", page, re.MULTILINE):
                with self.subTest(f"{name} in {stem}.3"):
                    self.assertIn(name, known)

    def test_every_program_prints_what_its_page_says(self):
        with documents.working_directory() as place:
            for stem, page in self.pages.items():
                source, *prints = literal_blocks(page)
                program = pathlib.Path(place, stem)
                with self.subTest(stem):
                    self.assertTrue(source.startswith("#include"))
                    program.with_suffix(".c").write_text(source, encoding="utf-8")
                    complaints = documents.complaints_about(program.with_suffix(".c"), program)
                    self.assertEqual(complaints, "")
                    status, shown = documents.run([*EMULATOR, str(program)], place)
                    self.assertEqual((shown, status), (prints[0], 0))


if __name__ == "__main__":
    unittest.main(verbosity=2)
