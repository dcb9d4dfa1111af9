"""What a run came to: the values (``model``) and the folder they are kept in (``folder``)."""
