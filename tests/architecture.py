"""The rules of the house, checked on the source: what doc/architecture.md promises.

    python3 tests/architecture.py [ROOT]      says what breaks a rule; status 1 when something does

A floor calls the floors below it, never above. Only the engine makes system calls on sockets.
Nothing below the command prints. Every folder of src/ has its place in doc/architecture.md.
"""
import pathlib
import re
import sys

FLOORS = ["base", "engine", "fiber", "transport", "socket", "framing", "serve", "sim", "cli"]

# Includes that speak to the network; above the engine only those that name an address.
NETWORK_HEADER = re.compile(
    r"(sys/(socket|un|uio|epoll|poll|select|eventfd|timerfd|signalfd|sendfile|ioctl)\.h"
    r"|(netinet|arpa|net|netpacket|linux)/.*|netdb\.h|poll\.h|liburing\.h)$")
ADDRESS_HEADERS = {"sys/socket.h", "sys/un.h", "netinet/in.h", "arpa/inet.h", "netdb.h", "net/if.h"}

SOCKET_CALLS = """socket socketpair bind listen accept accept4 connect shutdown
    recv recvfrom recvmsg recvmmsg send sendto sendmsg sendmmsg sendfile splice
    getsockopt setsockopt getsockname getpeername
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    poll ppoll select pselect eventfd io_uring_setup io_uring_enter""".split()
PRINTING = """printf vprintf fprintf vfprintf dprintf vdprintf puts fputs putchar putc fputc fwrite
    perror psignal err errx warn warnx""".split()

# salut_check() is documented to print, and the handler of an overflown stack can only write(). A
# trace goes to the file that was asked for.
MAY_PRINT = {("base/error.c", "fprintf"), ("fiber/overflow.c", "write"),
             ("sim/trace.c", "fprintf"), ("sim/trace.c", "fputc")}


def call(names):
    """A call of one of names: not a member (x->send, x.send), not a part of a longer name."""
    return re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")


SOCKET_CALL = call(SOCKET_CALLS)
PRINTING_CALL = call(PRINTING)
WRITING_TO_TERMINAL = re.compile(r"(?<![\w.>])(write)\s*\(\s*(?:1|2|STDOUT_FILENO|STDERR_FILENO)\s*,")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def code_lines(text):
    """The lines, with comments, strings and characters blanked out and includes left alone."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    parts = re.split(r"^(\s*#\s*include[^\n]*)", text, flags=re.MULTILINE)
    return "".join(part if i % 2 else NOT_CODE.sub(blank, part)
                   for i, part in enumerate(parts)).split("\n")


def include_fault(floor, quoted, header):
    """Why this floor may not include this header, or None."""
    if quoted:
        owner = header.split("/")[0] if "/" in header else None
        if owner not in FLOORS:
            return f'"{header}" is not "floor/file.h"'
        if floor == "cli" and owner not in ("cli", "base"):
            return f'the command speaks the public words only, not "{header}"'
        if FLOORS.index(owner) > FLOORS.index(floor):
            return f'{floor} reaches up to "{header}"'
    elif FLOORS.index(floor) > FLOORS.index("engine"):
        if NETWORK_HEADER.match(header) and header not in ADDRESS_HEADERS:
            return f"<{header}> belongs to the engine"
    return None


def line_faults(floor, file, line):
    include = INCLUDE.match(line)
    if include:
        fault = include_fault(floor, include[1] == '"', include[2])
        return [fault] if fault else []

    faults = []
    if floor != "engine":
        faults += [f"{m[1]}() is the engine's to call" for m in SOCKET_CALL.finditer(line)]
    if floor != "cli":
        printed = [m[1] for rule in (PRINTING_CALL, WRITING_TO_TERMINAL) for m in rule.finditer(line)]
        faults += [f"{name}() prints, which only the command may" for name in printed
                   if (f"{floor}/{file}", name) not in MAY_PRINT]
    return faults


def faults_of(root):
    """Every broken rule under root as a sentence with its place."""
    root = pathlib.Path(root)
    faults = []
    for folder in sorted(path for path in (root / "src").iterdir() if path.is_dir()):
        floor = folder.name
        if floor not in FLOORS:
            faults.append(f"src/{floor}: no such floor; they are {', '.join(FLOORS)}")
            continue
        for path in sorted(folder.rglob("*.[chS]")):
            file = path.relative_to(folder).as_posix()
            for number, line in enumerate(code_lines(path.read_text(encoding="utf-8")), 1):
                faults += [f"src/{floor}/{file}:{number}: {fault}"
                           for fault in line_faults(floor, file, line)]

    document = root / "doc" / "architecture.md"
    told = document.read_text(encoding="utf-8") if document.exists() else ""
    for folder in sorted(path for path in (root / "src").iterdir() if path.is_dir()):
        if any(folder.iterdir()) and not re.search(rf"\b(src/)?{folder.name}/", told):
            faults.append(f"doc/architecture.md: no word about src/{folder.name}/")
    return faults


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    faults = faults_of(root)
    print("\n".join(faults) if faults else "every floor keeps to its place")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
