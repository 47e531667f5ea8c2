"""Every relative link of the documents leads to a file, and to a heading where it names one."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("doc/**/*.md"), *ROOT.glob("bench/*.md"),
                    *ROOT.glob("examples/*.md")])


def prose(path):
    """The text without its programs and its quoted code."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"),
                  flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: "`" + re.sub(r"\W", "-", code[0]) + "`", text)


def anchors(path):
    """The headings of a document as the forges name them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "",
                          path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL),
                          re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TheDocuments(unittest.TestCase):
    def test_have_no_link_to_nowhere(self):
        links = 0
        for document in DOCUMENTS:
            for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
                if re.match(r"\w+:", target):
                    continue
                links += 1
                file, _, heading = target.partition("#")
                there = (document.parent / file).resolve() if file else document
                with self.subTest(f"{document.relative_to(ROOT)}: {target}"):
                    self.assertTrue(there.exists())
                    if heading:
                        self.assertIn(heading, anchors(there))
        self.assertGreater(links, 10)


if __name__ == "__main__":
    unittest.main(verbosity=2)
