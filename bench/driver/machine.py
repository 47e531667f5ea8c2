"""The machine: which cores, what it is, and programs that run on it and surely end."""
import ctypes
import os
import platform
import select
import signal
import subprocess
import tempfile
import time


class Failure(Exception):
    """A program that didn't do what it should; the text is a sentence."""


# ---- Cores ------------------------------------------------------------------------------------


def siblings(core):
    """The hardware threads that share this core, as far as the system says."""
    try:
        with open(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list") as file:
            text = file.read()
    except OSError:
        return {core}
    cores = set()
    for part in text.strip().split(","):
        low, _, high = part.partition("-")
        cores.update(range(int(low), int(high or low) + 1))
    return cores


def choose_cores(server=None, load=None):
    """A core for the server and another for the load: not two threads of one, where possible."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Failure("two cores are needed: one for the server, one for the load")
    for core in (server, load):
        if core is not None and core not in allowed:
            raise Failure(f"core {core} is not one of {', '.join(map(str, allowed))}")
    if server is None:
        server = next(core for core in reversed(allowed) if core != load)
    if load is None:
        others = [core for core in allowed if core != server]
        load = next((core for core in others if core not in siblings(server)), others[0])
    if server == load:
        raise Failure("the server's core and the load's must be two")
    return server, load


def facts(server_core, load_core):
    """What a reader must know of the machine to judge the figures."""
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith(("model name", "CPU part")):
                model = line.partition(":")[2].strip()
                break
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": model,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "compiler": compiler.splitlines()[0] if compiler else "unknown",
        "server_core": server_core,
        "load_core": load_core,
    }


# ---- Programs ---------------------------------------------------------------------------------

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Program:
    """A running program on one core, or on several. Killed at the end of its `with`, and by the
    kernel should the driver itself be killed."""

    def __init__(self, argv, cores, environment=None):
        self.argv = [str(word) for word in argv]
        self.cores = cores
        self.environment = dict(os.environ, **(environment or {}))

    def __enter__(self):
        driver = os.getpid()

        def before_exec():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != driver:
                os._exit(1)
            os.sched_setaffinity(0, self.cores)

        self.complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.complaints,
            env=self.environment, preexec_fn=before_exec, start_new_session=True)
        self.pid = self.process.pid
        self.read = b""
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.complaints.close()

    def fail(self, what):
        """The sentence of a failure, with the last thing the program said."""
        self.complaints.seek(0)
        said = self.complaints.read().decode(errors="replace").strip().splitlines()
        name = os.path.basename(self.argv[-1] if "python" in self.argv[0] else self.argv[0])
        raise Failure(f"{name} {what}" + (f": {said[-1]}" if said else ""))

    def write_line(self, text):
        try:
            self.process.stdin.write(f"{text}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail("ended early")

    def read_line(self, seconds_max):
        """The next line of its output; a failure if it ends or stays silent for so long."""
        deadline = time.monotonic() + seconds_max
        while b"\n" not in self.read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self.fail(f"said nothing for {seconds_max:g} seconds")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                self.process.wait()
                self.fail(f"ended with status {self.process.returncode}")
            self.read += piece
        line, _, self.read = self.read.partition(b"\n")
        return line.decode()

    def read_to_end(self, seconds_max):
        """All its output, once it has ended well."""
        try:
            output, _ = self.process.communicate(timeout=seconds_max)
        except subprocess.TimeoutExpired:
            self.fail(f"didn't end within {seconds_max:g} seconds")
        if self.process.returncode:
            self.fail(f"ended with status {self.process.returncode}")
        return output.decode()

    def cpu_ns(self):
        """CPU time of all its threads so far: its CPU clock (clock_getcpuclockid), exact to the
        nanosecond even while it runs."""
        if self.process.poll() is not None:
            self.fail(f"ended with status {self.process.returncode}")
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    def waited_ns(self):
        """How long its threads have been ready to run without getting the core."""
        try:
            waited = 0
            for task in os.listdir(f"/proc/{self.pid}/task"):
                with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                    waited += int(file.read().split()[1])
            return waited
        except OSError:
            return 0  # it has ended, or this kernel doesn't count

    def memory_kib(self):
        """Resident memory and page tables, KiB."""
        return (proc_kib(f"/proc/{self.pid}/smaps_rollup", "Rss:"),
                proc_kib(f"/proc/{self.pid}/status", "VmPTE:"))


def proc_kib(path, name):
    with open(path) as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1])
    raise Failure(f"{path} has no {name}")
