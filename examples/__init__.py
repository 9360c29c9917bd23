"""A package, so that no other ``examples``, as some installations leave behind, can stand in for this one."""
