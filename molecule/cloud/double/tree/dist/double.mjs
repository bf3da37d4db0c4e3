// Not Nextcloud: a file of the double, to see how nginx gives modules out.
