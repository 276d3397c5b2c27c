"""Asks for jobs to be stopped through the HTTP API of the console, and waits for the end. Standard library only.

    VIZSTOP_URL=http://127.0.0.1:9465 VIZSTOP_TOKEN=... python3 stop.py PROJECT BATCH JOB...

The same command with the same batch completes it and doubles nothing.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request


def call(method, path, body=None):
    """Sends a request, again when it was not answered or is to be tried later, and returns the answer."""
    request = urllib.request.Request(os.environ["VIZSTOP_URL"] + path, method=method)
    request.add_header("Authorization", "Bearer " + os.environ["VIZSTOP_TOKEN"])
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    for attempt in range(5):
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if error.code not in (429, 503):
                sys.exit(f"{problem['type']}: {problem.get('detail', problem['title'])} {problem.get('errors', '')}")
            wait, why = float(error.headers.get("Retry-After", 1)), problem["title"]
        except OSError as error:  # whatever became of the request: repeating it doubles nothing
            wait, why = 2**attempt, error
        time.sleep(wait)
    sys.exit(f"given up: {why}")


def main(project, batch, *jobs):
    asked = call("PUT", f"/v1/batches/{batch}", {"project_id": project, "jobs": jobs, "reason": "example"})
    print(f"{asked['accepted']} accepted, {asked['joined']} joined, {asked['known']} known")
    while True:
        status = call("GET", f"/v1/batches/{batch}?wait=30")
        if all(p["ended"] for p in status["projects"]):
            break
    bad = 0
    for p in status["projects"]:
        print(p["project_id"], {outcome: n for outcome, n in p["outcomes"].items() if n})
        bad += sum(n for outcome, n in p["outcomes"].items() if outcome not in ("stopped", "already_stopped", "gone"))
    if bad:
        print(f"{bad} jobs may still run", file=sys.stderr)
    return 2 if bad else 0


sys.exit(main(*sys.argv[1:]))
