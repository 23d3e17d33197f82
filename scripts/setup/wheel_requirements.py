"""Prints what a wheel requires, without PyTorch, which is installed by itself. Usage: wheel_requirements.py WHEEL"""

import re
import sys
import zipfile

wheel = zipfile.ZipFile(sys.argv[1])
metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
for line in wheel.read(metadata).decode().splitlines():
    name, _, requirement = line.partition(": ")
    if name != "Requires-Dist" or "extra ==" in requirement:
        continue
    if not re.match(r"torch(audio|vision|codec)?\b", requirement):
        print(requirement)
