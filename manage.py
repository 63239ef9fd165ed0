#!/usr/bin/env python
"""Every command of recsite; `manage.py help` lists them."""

import sys

from recsite.boot import boot

if __name__ == "__main__":
    boot()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
