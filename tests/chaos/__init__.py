"""Faults under load, and whether everything that was answered stands afterwards: `make chaos`.

load.py        callers that send one after another for keys of their own, and again what was not answered
faults.py      what is killed, stopped and filled meanwhile
reconcile.py   every answered request beside the deliveries, the ledger and the topic
__main__.py    runs all of it on services of its own and prints the figures
"""
