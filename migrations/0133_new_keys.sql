-- no-transaction
CALL write_new_keys();
