"""The corpus stage on a large file with one and two workers, taking turns: seconds, speed, peak memory, equal bytes.

    python benchmarks/corpus.py [FILE] [--rounds N] [source.format=wiki key=value ...]

Memory is the sum over the whole process tree of what each process has for itself and its share of what it has in
common with others (Pss), sampled ten times a second. Linux only.
"""

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ROOT / "../shared/data/wiki_en/wiki_en_00.txt.bz2"
LIMIT_MB = 1000

RUN = """
import sys
from pathlib import Path
from bertkit import storage
from bertkit.config import build, parse_overrides
from bertkit.stages.corpus import CorpusConfig, corpus

if __name__ == "__main__":
    config = build(CorpusConfig, parse_overrides(sys.argv[2:]))
    corpus.run(config, {}, Path(sys.argv[1]), corpus.identity(config, {}, storage.Digests()))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("overrides", nargs="*", default=["source.format=wiki"])
    options = parser.parse_args()
    if not options.file.is_file():
        print(f"skipped: {options.file} is not there")
        return 0
    with tempfile.TemporaryDirectory() as name:
        return compare(options.file, options.overrides, options.rounds, Path(name))


def compare(file: Path, overrides: list[str], rounds: int, folder: Path) -> int:
    """Print a line for each run and the ratio of the medians; 1 when bytes differ or memory is over the limit."""
    script = folder / "run.py"
    script.write_text(RUN)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    digests, peaks = set(), []
    for round_ in range(rounds):
        for workers in seconds:
            out = folder / f"{round_}-{workers}"
            arguments = [*overrides, f"source.files={file.resolve()}", f"num_workers={workers}"]
            taken, peak = measure([sys.executable, str(script), str(out), *arguments])
            text = sum_of_text(out)
            seconds[workers].append(taken)
            peaks.append(peak)
            digests.add(digest(out))
            print(
                f"{workers} worker(s): {taken:6.1f} s, {text / taken:5.1f} MB/s of text, peak {peak:4.0f} MB",
                flush=True,
            )
    one, two = (statistics.median(times) for times in seconds.values())
    print(f"two workers take {two / one:.2f} of the time of one; highest peak {max(peaks):.0f} MB (limit {LIMIT_MB})")
    print("the same bytes" if len(digests) == 1 else f"DIFFERENT bytes: {sorted(digests)}")
    return int(len(digests) != 1 or max(peaks) > LIMIT_MB)


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds, and the highest memory of the process tree in MB."""
    started, peak = time.monotonic(), 0.0
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"the run ended with exit code {process.returncode}: {' '.join(command)}")
    return time.monotonic() - started, peak / 1e6


def tree_memory(pid: int) -> int:
    """Bytes of a process and all below it; 0 for those that end meanwhile."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    own = next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return own + sum(tree_memory(int(child)) for child in children)


def sum_of_text(out: Path) -> float:
    """MB of text kept, as UTF-8."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    total = 0
    for path in out.glob("*.parquet"):
        for batch in pq.ParquetFile(path).iter_batches(columns=["sentences"]):
            total += pc.sum(pc.binary_length(pc.list_flatten(batch["sentences"]))).as_py() or 0
    return total / 1e6


def digest(out: Path) -> str:
    """Of every file but the manifest, which holds times."""
    files = sorted(path for path in out.iterdir() if path.suffix in (".parquet", ".json") and path.name[0] != ".")
    content = [path.name.encode() + path.read_bytes() for path in files if path.name != "manifest.json"]
    return hashlib.sha256(b"".join(content)).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
