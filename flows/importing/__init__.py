"""Import jobs: files of any size become commands row by row, a chunk at a time.

file ─ spooled, hashed, verified ─ rows (a reader for each format) ─ chunks (documents as the feed's rules read
them) ─ the interpreter ─ one transaction a chunk: commands, mappings, failures, progress
"""
