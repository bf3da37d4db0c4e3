"""The papers of a suite: runbooks and the handover binder, in the client's languages."""
