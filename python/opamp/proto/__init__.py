"""The names of the OpAMP schema: enumerations, and message classes (protobuf's own where it is
installed)."""
