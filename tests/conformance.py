"""Judges kosoku's reports of a server that does not echo.

Autobahn's cases end with the server sending a message back. A viewer socket says nothing to what viewers say, so the
echo is taken out of what a case expects; all else (pongs, their order, who closes, with which code) has to be as
expected. A message over 16 KiB is to be refused with 1009.
"""

import json
import pathlib
import sys

GOOD = {'OK', 'NON-STRICT', 'INFORMATIONAL'}
CASES = 247


def judge(case):
    if case['behavior'] in GOOD and case['behaviorClose'] in GOOD:
        return None
    without_echo = [[e for e in events if e[0] != 'message'] for events in case['expected'].values()]
    echoes = any(e[0] == 'message' for events in case['expected'].values() for e in events)
    if not echoes:
        return f"{case['behavior']}, close {case['behaviorClose']}: {case['result']} {case['resultClose']}"
    if case['received'] not in without_echo:
        return f"received {case['received']}, expected {without_echo}"
    # The peer waits for an echo until it gives up (no code at all), or closes by itself (1000).
    allowed = {None, 1000} | ({1009} if case['id'] in LONG else set())
    if case['remoteCloseCode'] not in allowed:
        return f"closed with {case['remoteCloseCode']}"
    return None


LONG = {'1.1.6', '1.1.7', '1.1.8', '1.2.6', '1.2.7', '1.2.8', '10.1.1'}

cases = [json.loads(path.read_text()) for path in pathlib.Path(sys.argv[1]).glob('*_case_*.json')]
faults = {case['id']: fault for case in cases if (fault := judge(case))}
faults |= {case['id']: 'not refused' for case in cases if case['id'] in LONG and case['remoteCloseCode'] != 1009}
for name, fault in sorted(faults.items()):
    print(f'case {name}: {fault}', file=sys.stderr)
print(f'{len(cases)} WebSocket cases, {len(faults)} failed')
sys.exit(bool(faults) or len(cases) != CASES)
