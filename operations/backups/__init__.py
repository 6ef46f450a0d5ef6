"""Backup and restore of the database, the same two commands on its three engines.

A backup is a folder: what the engine's own means wrote, and a manifest that says what is in it. A
tool such as restic or rclone carries the folder away.
"""
