"""Beside a broker: holds sealed messages until every reader has read, and cannot open one."""
