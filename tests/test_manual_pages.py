"""mandoc finds nothing to say about the manual pages."""
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    pages = sorted((ROOT / "doc" / "man").glob("*.[1-8]"))
    if not pages:
        print("skipped: there are no manual pages")
        return 77
    if not shutil.which("mandoc"):
        print("skipped: mandoc isn't here")
        return 77
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *map(str, pages)],
                          capture_output=True, text=True, check=False)
    said = lint.stdout + lint.stderr
    print(said, end="")
    return 1 if said or lint.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
