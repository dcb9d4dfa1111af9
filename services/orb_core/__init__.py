"""ORB Core: a CORBA server that holds the native object of each widget."""
