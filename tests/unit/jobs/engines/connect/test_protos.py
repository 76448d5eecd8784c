from __future__ import annotations

import subprocess
import sys


def test_messages_load_without_pyspark_and_leave_its_place_free() -> None:
    script = (
        "import sys, jobs.engines.connect.protos\n"
        "assert 'pandas' not in sys.modules and 'pyspark' not in sys.modules\n"
        "import pyspark\n"
        "print(pyspark.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "4.2.1"
