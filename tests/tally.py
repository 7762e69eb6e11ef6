#!/usr/bin/python3
"""tally.py FILE.xml -- one line `PASSED FAILED SKIPPED` of a JUnit file (Meson and pytest write
them), then a line `SKIP name: reason` for each skipped case."""
import sys
import xml.etree.ElementTree as xml

passed = failed = 0
skips = []
for case in xml.parse(sys.argv[1]).getroot().iter('testcase'):
    skip = case.find('skipped')
    if skip is not None:
        reason = skip.get('message') or (skip.text or '').strip() or 'no reason given'
        skips.append(f'SKIP {case.get("name")}: {reason.splitlines()[0]}')
    elif case.find('failure') is not None or case.find('error') is not None:
        failed += 1
    else:
        passed += 1
print(passed, failed, len(skips))
print('\n'.join(skips), end='\n' if skips else '')
