"""Small and quick: all seven services answer within 2 s of `ferry up`, and hold less than 200 MB together at rest."""
import json
import os
import subprocess

import pytest

from contract import ROOT

RELEASE = ROOT / ".build/release"


@pytest.mark.slow
def test_seven_services_are_ready_in_two_seconds_and_take_less_than_200_megabytes():
    if not (RELEASE / "ferry-gateway").exists():
        pytest.skip("there is no release build; a debug build says nothing of speed and memory")
    environment = dict(os.environ, FERRY_BIN_DIR=str(RELEASE))
    done = subprocess.run([ROOT / "scripts/bench", "startup"], env=environment, capture_output=True, text=True, timeout=170)
    print(done.stdout + done.stderr)
    result = json.loads((ROOT / ".build/bench/startup.json").read_text())
    assert result["ready_median_seconds"] <= 2.0, done.stdout
    assert len(result["resident_bytes"]) == 7 and result["resident_total_bytes"] < 200_000_000, done.stdout
    assert done.returncode == 0
