"""The table (text and Markdown), the JSON and the plots of what was measured."""
import json
import shutil
import statistics
import subprocess

from driver.machine import Failure
from driver.workloads import percentile

ROUNDS_MIN = 5
WAIT_SHARE_MAX = 0.01  # quiet machines: under 0.002


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "rounds": values} if values else None


def ratio(case, label):
    """As a multiple of the baseline, round by round, since neighbours in time compare best."""
    if case.baseline not in case.samples:
        return None
    pairs = zip(case.values(label), case.values(case.baseline))
    return summary([value / base for value, base in pairs if base])


def ranking(case):
    return sorted(case.samples, key=lambda label: statistics.median(case.values(label)),
                  reverse=case.more_is_better)


def results(bench, facts, options):
    """Everything, as the JSON has it."""
    cases = []
    for case in bench.cases:
        rows = []
        for label in ranking(case):
            names = sorted({name for round in case.samples[label] for name in round})
            rows.append({"peer": label,
                         "figures": {name: summary(case.values(label, name)) for name in names},
                         "multiple_of_baseline": ratio(case, label),
                         "latency_histogram_ns": sorted(case.histograms.get(label, {}).items())})
        cases.append({"case": case.name, "title": case.title, "measure": case.measure,
                      "baseline": case.baseline, "more_is_better": case.more_is_better,
                      "latencies_at_requests_a_second": case.rate, "rows": rows})
    waited = statistics.median(bench.waits) if bench.waits else None
    return {"machine": facts, "options": options, "peers": bench.workshop.versions(),
            "left_out": bench.workshop.left_out, "failures": bench.failures,
            "server_waited_for_its_core": waited, "cases": cases}


# ---- The table --------------------------------------------------------------------------------


def short(number):
    if number is None:
        return ""
    size = abs(number)
    return f"{number:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def median_and_spread(figure):
    if not figure:
        return ""
    return f"{short(figure['median'])} ({short(figure['min'])}..{short(figure['max'])})"


def cells(row):
    """What the table shows of a row: value, multiple, a second, p50, p99, p99.9."""
    figures = row["figures"]
    multiple = row["multiple_of_baseline"]
    spread = "" if not multiple else \
        f"{multiple['median']:.2f} ({multiple['min']:.2f}..{multiple['max']:.2f})"
    medians = [short(figures[name]["median"]) if name in figures else ""
               for name in ("rate", "p50", "p99", "p99.9")]
    return [median_and_spread(figures["value"]), spread, *medians]


def heading(case):
    text = f"{case['title']}: {case['measure']}"
    if case["latencies_at_requests_a_second"]:
        text += f"; latency at {case['latencies_at_requests_a_second']:,.0f} requests a second"
    return text


def column_names(case):
    latency = ["p50 µs", "p99 µs", "p99.9 µs"]
    return ["median (min..max)", f"× {case['baseline']}" if case["baseline"] else "", "a second",
            *latency]


def text_table(all):
    lines = []
    for case in all["cases"]:
        used = [cells(row) for row in case["rows"]]
        names = [name if any(row[i] for row in used) else ""
                 for i, name in enumerate(column_names(case))]
        widths = [max(len(row[i]) for row in [names, *used]) for i in range(len(names))]
        widths = [max(pair) for pair in zip(widths, (24, 18, 9, 7, 7, 8))]
        lines += ["", heading(case)]
        for label, row in zip(["", *(row["peer"] for row in case["rows"])], [names, *used]):
            text = "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths))
            lines.append(f"  {label:<30}{text}".rstrip())
    return "\n".join(lines + ["", *notes(all)]).strip() + "\n"


def markdown_table(all):
    lines = ["| work | peer | median (min..max) | multiple (min..max) | a second | p50 µs "
             "| p99 µs | p99.9 µs |", "| --- | --- | --: | --: | --: | --: | --: | --: |"]
    for case in all["cases"]:
        work = heading(case) + (f"; multiple of {case['baseline']}" if case["baseline"] else "")
        for row in case["rows"]:
            lines.append(" | ".join(["| " + work, row["peer"], *cells(row)]) + " |")
            work = ""
    return "\n".join(lines + ["", *(f"- {note}" for note in notes(all))]) + "\n"


def notes(all):
    """What must be read with the figures."""
    machine, options = all["machine"], all["options"]
    lines = [f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, kernel "
             f"{machine['kernel']}, {machine['compiler']}; server on core "
             f"{machine['server_core']}, load on core {machine['load_core']}.",
             f"Medians of {options['rounds']} interleaved rounds of {options['seconds']:g} s, "
             f"after {options['warmup']:g} s of warm-up."]
    if all["peers"]:
        lines.append("Versions: " + "; ".join(f"{title} {version}" for title, version
                                              in all["peers"].items()) + ".")
    if options["rounds"] < ROUNDS_MIN:
        lines.append(f"Fewer than {ROUNDS_MIN} rounds: a try, not a measurement.")
    waited = all["server_waited_for_its_core"]
    if waited and waited > WAIT_SHARE_MAX:
        lines.append(f"The servers were kept from their core {waited:.0%} of the time: something "
                     "else ran on this machine. Don't trust the figures.")
    for why in sorted(set(all["left_out"].values())):
        names = [name for name, reason in all["left_out"].items() if reason == why]
        lines.append(f"Left out: {', '.join(names)}: {why}.")
    lines += [f"Failed: {failure}." for failure in all["failures"]]
    return lines


# ---- The plots --------------------------------------------------------------------------------


def bars(case):
    """Medians as bars, with the spread; as multiples where there is a baseline."""
    data = []
    for row in case["rows"]:
        figure = row["multiple_of_baseline"] or row["figures"]["value"]
        data.append(f"\"{row['peer']}\" {figure['median']} {figure['min']} {figure['max']}")
    title = case["title"]
    label = case["measure"] + (f" (× {case['baseline']})"
                               if case["rows"][0]["multiple_of_baseline"] else "")
    return f"""
set terminal svg size 760,420 font "sans-serif,12" background "white"
set title "{title}"
set ylabel "{label}"
set yrange [0:*]
set style fill solid 0.6
set boxwidth 0.6
set grid ytics
set xtics rotate by -20
$data << END
{chr(10).join(data)}
END
plot $data using 0:2:xtic(1) with boxes linecolor rgb "#4477aa" notitle, \\
     $data using 0:2:3:4 with yerrorbars linecolor rgb "#222222" pointtype 7 pointsize 0.3 notitle
"""


def latency_curves(case):
    """Latency by percentile, as HdrHistogram plots it: each nine is as wide as the one before."""
    blocks, curves = [], []
    for i, row in enumerate(case["rows"]):
        histogram = dict(row["latency_histogram_ns"])
        if not histogram:
            continue
        points = [(10 ** (n / 10), percentile(histogram, 1 - 10 ** (-n / 10))) for n in range(41)
                  if sum(histogram.values()) >= 10 ** (n / 10)]
        blocks.append(f"$d{i} << END\n" + "\n".join(f"{x} {y}" for x, y in points) + "\nEND")
        curves.append(f"$d{i} using 1:2 with lines linewidth 2 title \"{row['peer']}\"")
    if not curves:
        return None
    at = case["latencies_at_requests_a_second"]
    title = case["title"] + (f", at {at:,.0f} requests a second" if at else "")
    return f"""
set terminal svg size 760,420 font "sans-serif,12" background "white"
set title "{title}"
set ylabel "latency, µs"
set xlabel "percentile"
set logscale xy
set xtics ("0" 1, "50" 2, "90" 10, "99" 100, "99.9" 1000, "99.99" 10000)
set key left top
set grid
{chr(10).join(blocks)}
plot {', '.join(curves)}
"""


def draw(all, directory):
    """SVG files by gnuplot; the number drawn, None without gnuplot."""
    for old in directory.glob("*.svg"):
        old.unlink()
    if not shutil.which("gnuplot"):
        return None
    directory.mkdir(exist_ok=True)
    drawn = 0
    for case in all["cases"]:
        for suffix, script in (("", bars(case)), ("-latency", latency_curves(case))):
            if not script:
                continue
            path = directory / f"{case['case']}{suffix}.svg"
            done = subprocess.run(["gnuplot"], input=f'set output "{path}"\n' + script, text=True,
                                  capture_output=True)
            if done.returncode:
                raise Failure(f"gnuplot couldn't draw {path}: {done.stderr.strip()}")
            drawn += 1
    return drawn


def write(all, directory):
    (directory / "results.json").write_text(json.dumps(all, indent=1) + "\n")
    (directory / "results.md").write_text(markdown_table(all))
    (directory / "results.txt").write_text(text_table(all))
    return draw(all, directory / "plots")
