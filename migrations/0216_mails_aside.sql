-- Mails to one recipient go out in the order of writing. One that the server refuses by itself, for its text say, holds up no other:
-- it stands aside until it is taken or ends. An instance of the version before still waits for it.
ALTER TABLE mails ADD COLUMN stands_aside boolean NOT NULL DEFAULT false;
