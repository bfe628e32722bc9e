"""What `benchmarks/explorer.py` makes of figures, and the processor time of processes that others started."""

import os
import signal
import subprocess
import sys

from benchmarks import explorer

GOOD = {
    "first_draw_s": 1.0,
    "first_draw_processor_s": 0.8,
    "megabytes": 1.1,
    "slider_ms": 90.0,
    "slider_ms_90th": 120.0,
    "slider_processor_ms": 60.0,
    "frames_per_second": 55.0,
    "frame_processor_ms": 4.0,
    "repeats": 40,
    "cores": 2,
    "load": 1.2,
    "errors": [],
}


def test_a_goal_is_missed_from_its_side():
    assert not any(explorer.missed(GOOD).values())
    bad = {"first_draw_s": 2.5, "megabytes": 2.1, "slider_ms": 151.0, "frames_per_second": 29.0}
    for name, value in bad.items():
        assert [key for key, is_missed in explorer.missed({**GOOD, name: value}).items() if is_missed] == [name]
    assert "90 ms" in explorer.table(GOOD) and "1.2" in explorer.table(GOOD)


def test_the_processor_time_counts_what_a_process_started():
    # A shell that waits for a process, which works for 0.3 seconds of processor time and then sleeps.
    work = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True); time.sleep(60)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout.readline() == b"done\n"
        assert 0.25 <= explorer.processor_s(process.pid) < 30
        # Nothing counts twice.
        assert explorer.processor_s(process.pid, process.pid) - explorer.processor_s(process.pid) < 0.2
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
